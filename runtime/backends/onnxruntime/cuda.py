"""ONNX Runtime on a GPU, on tensors that stay there."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from edgecount.errors import BackendError, ModelError
from edgecount.runtime.backends.device import Bound, DeviceBackend, DeviceWorker
from edgecount.runtime.backends.device_tensors import DeviceTensors
from edgecount.runtime.backends.onnxruntime.calls import run_in_hand
from edgecount.runtime.backends.onnxruntime.session import (
    CPU,
    CUDA,
    check_tensors,
    load_onnxruntime,
    open_session,
)
from edgecount.runtime.cuda.driver import gpu_failures
from edgecount.runtime.models.onnx_facts import stored_precision

if TYPE_CHECKING:
    from edgecount._ext import Stream
    from edgecount.manifest import Manifest
    from edgecount.runtime.models.model_file import ModelFile
    from edgecount.runtime.models.sidecar import Shape

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}
_MOST = 8  # frames in a run of a model that takes any number: more cost memory and gain little


class OnnxRuntimeCudaBackend(DeviceBackend):
    """A backend of ONNX Runtime whose work is queued in a stream of ours, on tensors on the GPU.

    A session has one stream for its life, so its workers share that: frames of several threads run
    one after the other on the GPU, and the upload of a frame waits for the kernels of the one
    before, which it could otherwise overlap. Engines of TensorRT have a stream for each worker.

    Args:
        model: the model's file.
        threads: threads on the CPU, for nodes that do not run on the GPU; None: one per core.
        device: number of the GPU, as CUDA counts them.
        memory: where the tensors lie. "cpu" is for a build of `edgecount._ext` whose device is the
            host, by which this is tested without a GPU.

    Raises:
        MissingExtraError, BackendError, ModelError: see `OnnxRuntimeBackend`.
    """

    name = "onnxruntime-cuda"

    def __init__(
        self,
        model: ModelFile,
        threads: int | None = None,
        *,
        device: int = 0,
        memory: Literal["cuda", "cpu"] = "cuda",
    ) -> None:
        from edgecount import _ext

        super().__init__(device)
        if model.path is not None:
            self.precision = stored_precision(model.path)
        with gpu_failures():
            stream = _ext.Stream(self.device_index, inner=True)
        session = _open(model, threads, stream, memory)
        check_tensors(session, model)
        self._manifest = model.manifest
        self._shared: _Shared | None = _Shared(
            stream,
            session,
            memory,
            model.manifest,
            _dtypes_of(session, model),
            threading.Lock(),
        )

    @property
    def batches(self) -> tuple[int, int]:
        """The smallest and the largest number of images in one run that is of use."""
        batch = self._open_session().session.get_inputs()[0].shape[0]
        return (batch, batch) if isinstance(batch, int) else (1, _MOST)

    def open_worker(self) -> DeviceWorker:
        """Open a worker with tensors of its own in the session's stream."""
        return _Worker(self._open_session())

    def close(self) -> None:
        """Free the session."""
        super().close()
        if not self.is_lost:
            self._shared = None

    def _open_session(self) -> _Shared:
        with self._lock:
            self._check_open()
            assert self._shared is not None  # noqa: S101 (tells the type checker what is so)
            return self._shared


class _Shared(NamedTuple):
    """The stream and the session, which the workers share.

    A tuple frees its last item first, and the stream must outlive the session that uses it.
    """

    stream: Stream
    session: Any
    memory: str
    manifest: Manifest
    dtypes: dict[str, str]
    queue: threading.Lock


class _Worker(DeviceWorker):
    """Tensors of its own in the session's stream."""

    # ONNX Runtime's arena takes memory from CUDA while it runs, which no graph can record.
    capturable = False

    def __init__(self, shared: _Shared) -> None:
        self.stream = shared.stream
        self._shared: _Shared | None = shared
        self._binding: Any = shared.session.io_binding()
        self._memory = DeviceTensors(shared.stream)
        self._bound: Bound | None = None
        self._seen: set[Shape] = set()

    def bind(self, shape: Shape) -> Bound:
        if self._bound is not None and self._bound.input.shape == shape:
            return self._bound
        shared = self._open()
        # Work that is queued still uses the tensors.
        with gpu_failures():
            self.stream.synchronize()
        self._bound = None
        image = shared.manifest.input.name
        number = self.stream.device if shared.memory == "cuda" else 0
        arrays = self._memory.arrange(_shapes_for(shared.manifest, shape), shared.dtypes)
        for name, array in arrays.items():
            bind = self._binding.bind_input if name == image else self._binding.bind_output
            bind(name, shared.memory, number, np.dtype(array.dtype), list(array.shape), array.ptr)
        self._bound = Bound(arrays.pop(image), arrays)
        if shape not in self._seen:
            self.warm_up()
            self._seen.add(shape)
        return self._bound

    def enqueue(self) -> None:
        shared = self._open()
        if self._bound is None:
            raise BackendError("onnxruntime-cuda: bind a shape before a run")
        if shared.memory == "cpu":  # whose provider knows no streams
            self.stream.synchronize()
        try:
            # Two threads that enqueue at once would mix their kernels in the one stream.
            options = _run_options()  # of this run: ending it leaves the next ones alone
            with shared.queue, run_in_hand(options):
                shared.session.run_with_iobinding(self._binding, options)
        except ModelError:  # it was ended
            raise
        except Exception as error:
            shape = self._bound.input.shape
            raise BackendError(f"onnxruntime-cuda failed on an input {shape}: {error}") from error

    def close(self) -> None:
        if self._shared is None:
            return
        with suppress(RuntimeError):  # of a GPU that failed: nothing is left to wait for
            self.stream.synchronize()
        self._bound = self._binding = self._shared = None
        self._memory.close()

    def _open(self) -> _Shared:
        if self._shared is None:
            raise BackendError("onnxruntime-cuda: the worker is closed")
        return self._shared


def _open(model: ModelFile, threads: int | None, stream: Stream, memory: str) -> Any:
    if memory == "cpu":
        return open_session(model, CPU, threads)
    options = {
        "device_id": str(stream.device),
        "user_compute_stream": str(stream.handle),
        # Counts are those of the CPU only without TF32, which rounds float32 to ten bits.
        "use_tf32": "0",
        # The default measures every convolution anew for every size of frames.
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    return open_session(model, CUDA, threads, options)


def _run_options() -> Any:
    options = load_onnxruntime().RunOptions()
    # What follows in the stream waits for the maps; the host need not.
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    return options


def _dtypes_of(session: Any, model: ModelFile) -> dict[str, str]:
    """Return the dtypes of the tensors that the manifest names.

    Raises:
        ModelError: one is neither float32 nor float16.
    """
    wanted = {model.manifest.input.name, *(output.name for output in model.manifest.outputs)}
    found = {}
    for tensor in (*session.get_inputs(), *session.get_outputs()):
        if tensor.name not in wanted:
            continue
        if tensor.type not in _DTYPES:
            raise ModelError(
                f"{model.path}: {tensor.name} is {tensor.type}, expected float32 or float16"
            )
        found[tensor.name] = _DTYPES[tensor.type]
    return found


def _shapes_for(manifest: Manifest, shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors for an input's shape; ONNX Runtime refuses others."""
    batch, _, height, width = shape
    shapes: dict[str, tuple[int, ...]] = {manifest.input.name: shape}
    for output in manifest.outputs:
        cells = height // output.stride, width // output.stride
        shapes[output.name] = (batch, output.channels, *cells)
    return shapes
