"""ONNX Runtime, on the CPU or on an NVIDIA GPU."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgecount.errors import BackendError, MissingExtraError, ModelError
from edgecount.manifest import FOR_TENSORRT
from edgecount.runtime.backend import Backend
from edgecount.runtime.cuda_driver import probe_driver

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.runtime.model_file import ModelFile

__all__ = [
    "CPU",
    "CUDA",
    "OnnxRuntimeBackend",
    "check_tensors",
    "load_onnxruntime",
    "open_best",
    "open_onnxruntime",
    "open_session",
]

_log = logging.getLogger(__name__)

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_LOG_FATAL = 4


class OnnxRuntimeBackend(Backend):
    """A session of ONNX Runtime that is given arrays of the host.

    Args:
        model: the model.
        device: "cpu" or "cuda:0".
        threads: threads on the CPU; None: one per core.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BackendError: the device's provider is not there or does not load.
        ModelError: the file cannot be loaded, or does not have the tensors of its manifest.
    """

    def __init__(self, model: ModelFile, device: str = "cpu", threads: int | None = None) -> None:
        self.device = device
        self.name = "onnxruntime" if device == "cpu" else "onnxruntime-cuda"
        self._outputs = [output.name for output in model.manifest.outputs]
        self._session: Any = open_session(model, CPU if device == "cpu" else CUDA, threads)
        try:
            check_tensors(self._session, model)
        except ModelError:
            self.close()
            raise

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model once; see `Backend.infer`."""
        if self._session is None:
            raise BackendError(f"{self.name}: the backend is closed")
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as error:
            shapes = {name: value.shape for name, value in inputs.items()}
            raise BackendError(f"{self.name} failed on inputs {shapes}: {error}") from error
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Free the session."""
        self._session = None


def open_onnxruntime(model: ModelFile, device: str, threads: int | None) -> Backend:
    """A session on a device; on a GPU, one that shares its memory with edgecount where it can.

    Raises:
        BackendError, MissingExtraError, ModelError: see `OnnxRuntimeBackend`.
    """
    if device == "cpu":
        return OnnxRuntimeBackend(model, device, threads)
    from edgecount.runtime.cuda_driver import why_no_gpu
    from edgecount.runtime.onnxruntime_cuda import OnnxRuntimeCudaBackend

    # What is wrong with the provider comes first: without it, nothing else is of use.
    if CUDA in load_onnxruntime("gpu").get_available_providers():
        reason = why_no_gpu()
        if reason is None:
            return OnnxRuntimeCudaBackend(model, threads)
        _log.info("onnxruntime-cuda copies every frame and its maps: %s", reason)
    return OnnxRuntimeBackend(model, device, threads)


def open_best(model: ModelFile, threads: int | None, reasons: Sequence[str] = ()) -> Backend:
    """The GPU if onnxruntime has it and it works, else the CPU; logs which and why.

    Args:
        model: the model.
        threads: threads on the CPU; None: one per core.
        reasons: why no better backend was taken.
    """
    if CUDA not in load_onnxruntime().get_available_providers():
        reason = "this onnxruntime has no CUDA provider"
    else:
        try:
            backend = open_onnxruntime(model, "cuda:0", threads)
        except BackendError as error:
            reason = str(error)
        else:
            _log.info("; ".join(["backend onnxruntime-cuda on cuda:0", *reasons]))
            return backend
    told = ["backend onnxruntime on the CPU", *reasons, f"not onnxruntime-cuda: {reason}"]
    _log.info("; ".join(told))
    return OnnxRuntimeBackend(model, "cpu", threads)


def load_onnxruntime(extra: str = "cpu") -> ModuleType:
    """The onnxruntime module.

    Args:
        extra: of edgecount, which brings it for the case at hand.

    Raises:
        MissingExtraError: it is not installed.
        BackendError: it is installed and cannot be loaded.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise BackendError(f"onnxruntime cannot be loaded: {error}") from error
        raise MissingExtraError("onnxruntime", extra, "to run models") from None
    except ImportError as error:
        raise BackendError(f"onnxruntime cannot be loaded: {error}") from error
    module: ModuleType = onnxruntime
    return module


def _advice() -> str:
    """How to come by a GPU's provider."""
    if platform.machine() == "aarch64":  # those wheels hold no code for the boards
        return "on a Jetson run an engine:  edgecount export --target tensorrt  on the board"
    return 'run  pip uninstall onnxruntime  and  pip install "edgecount[gpu]"'


def open_session(
    model: ModelFile,
    provider: str,
    threads: int | None,
    provider_options: Mapping[str, str] | None = None,
) -> Any:
    """A session on the provider that was asked for, and on no other.

    Args:
        model: the model.
        provider: `CPU` or `CUDA`.
        threads: threads on the CPU; None: one per core.
        provider_options: of the provider.

    Raises:
        MissingExtraError, BackendError, ModelError: see `OnnxRuntimeBackend`.
    """
    onnxruntime = load_onnxruntime("gpu" if provider == CUDA else "cpu")
    available = onnxruntime.get_available_providers()
    if provider not in available:
        driver = probe_driver()
        if provider == CUDA and isinstance(driver, str):
            raise BackendError(
                f"backend onnxruntime-cuda needs an NVIDIA GPU: {driver}; without one leave "
                "backend at 'auto'"
            )
        raise BackendError(
            f"this onnxruntime has no {provider} (it has {', '.join(available)}): {_advice()}"
        )
    try:
        session = onnxruntime.InferenceSession(
            str(model.path),
            _session_options(onnxruntime, threads, model.encoding),
            providers=[(provider, dict(provider_options or {}))],
            enable_fallback=0,
        )
    except Exception as error:
        if provider == CPU:
            raise ModelError(f"onnxruntime cannot load {model.path}: {error}") from error
        raise BackendError(f"onnxruntime could not start {provider}: {error}") from error
    # A provider whose libraries are missing can still be replaced by the CPU's without an error.
    got = session.get_providers()[0]
    if got != provider:
        raise BackendError(
            f"onnxruntime could not start {provider} and gave {got}: the NVIDIA driver, CUDA or "
            "cuDNN are missing or of another version than it was built for"
        )
    return session


def _session_options(onnxruntime: ModuleType, threads: int | None, encoding: str) -> Any:
    options = onnxruntime.SessionOptions()
    if encoding == FOR_TENSORRT:
        # Fused for a CPU, such a graph runs slower, and with float16 scales (1.31) it counts 0.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    # Failures come as exceptions; the same text on stderr would only repeat them.
    options.log_severity_level = _LOG_FATAL
    # session.set_denormal_as_zero stays off: it would also leave the caller's thread, and thus the
    # caller's own NumPy, without denormal numbers.
    # Photos have many sizes, and a pattern of allocations would be kept for each of them.
    options.enable_mem_pattern = False
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def check_tensors(session: Any, model: ModelFile) -> None:
    """Compare inputs and outputs with the manifest.

    Raises:
        ModelError: they are others.
    """
    manifest = model.manifest
    inputs = [tensor.name for tensor in session.get_inputs()]
    if inputs != [manifest.input.name]:
        raise ModelError(
            f"{model.path}: the manifest names the input {manifest.input.name!r}, "
            f"the graph has {inputs}"
        )
    outputs = [tensor.name for tensor in session.get_outputs()]
    for output in manifest.outputs:
        if output.name not in outputs:
            raise ModelError(
                f"{model.path}: the manifest names the output {output.name!r}, "
                f"the graph has {outputs}"
            )
