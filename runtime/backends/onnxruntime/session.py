"""Sessions of ONNX Runtime on a provider, checked against the manifest."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgecount._telemetry import refuse_reports
from edgecount.errors import BackendError, MissingExtraError, ModelError
from edgecount.manifest import FOR_TENSORRT
from edgecount.runtime.backends.calls import in_hand
from edgecount.runtime.backends.forks import leave_to_parent
from edgecount.runtime.cuda.driver import probe_driver
from edgecount.runtime.models.onnx_facts import check_beside

if TYPE_CHECKING:
    from edgecount.runtime.models.model_file import ModelFile

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_LOG_FATAL = 4


def load_onnxruntime(extra: str = "cpu") -> ModuleType:
    """Import onnxruntime, which an extra of edgecount installs; it reports to nobody then.

    Raises:
        MissingExtraError: it is not installed.
        BackendError: it is installed and cannot be loaded.
    """
    refuse_reports()
    try:
        import onnxruntime
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
            raise MissingExtraError("onnxruntime", extra, "to run models") from None
        raise BackendError(f"onnxruntime cannot be loaded: {error}") from error
    module: ModuleType = onnxruntime
    return module


def _advice() -> str:
    """Return what to do for a provider that runs on the GPU."""
    if platform.machine() == "aarch64":  # those wheels hold no code for the boards
        return "on a Jetson run an engine:  edgecount export --target tensorrt  on the board"
    return 'run  pip uninstall onnxruntime  and  pip install "edgecount[gpu]"'


def open_session(
    model: ModelFile,
    provider: str,
    threads: int | None,
    provider_options: Mapping[str, str] | None = None,
) -> Any:
    """Open a session on the provider that was asked for, `CPU` or `CUDA`, and on no other."""
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
    if model.path is not None:
        check_beside(model.path)
    try:
        with in_hand():
            session = onnxruntime.InferenceSession(
                str(model.path),
                _session_options(onnxruntime, threads, model.encoding),
                providers=[(provider, dict(provider_options or {}))],
                enable_fallback=0,
            )
    except ModelError:  # it took too long
        raise
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
    leave_to_parent(session)
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
    """Compare a session's inputs and outputs with the manifest.

    Raises:
        ModelError: they are not those that the manifest names.
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
