"""Engines of TensorRT 8.6 to 11 and of TensorRT for RTX.

All of them share one core of calls. Whether a version has one that others lack is found out by its
name, never by a version number: TensorRT for RTX counts from 1 and is newer than TensorRT 10.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from edgecount.errors import BackendError
from edgecount.runtime.backends.device import Bound, DeviceBackend, DeviceWorker
from edgecount.runtime.backends.device_tensors import DeviceTensors
from edgecount.runtime.backends.tensorrt.compatibility import (
    FittingEngine,
    fit_engine,
    refit_engine,
)
from edgecount.runtime.backends.tensorrt.context_memory import ContextMemory, MemoryHint
from edgecount.runtime.backends.tensorrt.contexts import ContextSlot, ContextSlots
from edgecount.runtime.backends.tensorrt.kernel_cache import KernelCache
from edgecount.runtime.backends.tensorrt.library import (
    dtype_name,
    library_name,
    probe_features,
)
from edgecount.runtime.backends.tensorrt.loading import Loading
from edgecount.runtime.backends.tensorrt.logger import TensorRTLog, last_errors
from edgecount.runtime.cuda.driver import PrimaryContext, gpu_failures
from edgecount.runtime.models.sidecar import NUMBERS, Shape

if TYPE_CHECKING:
    from types import ModuleType

    from edgecount._ext import Stream
    from edgecount.manifest import Manifest
    from edgecount.runtime.models.engines import Engine, Rebuild

_log = logging.getLogger(__name__)


class TensorRTBackend(DeviceBackend):
    """An engine on a GPU, shared by all workers.

    Args:
        engine: the plan and its sidecar.
        rebuild: builds it again from the ONNX beside it if it does not fit this machine; None: that
            is an error.
        device: number of the GPU, as CUDA counts them.

    Attributes:
        sidecar: the engine's sidecar; a new one if it was built again.

    Raises:
        BackendError: there is no GPU or no TensorRT, or the engine does not fit or does not load.
        MissingExtraError: TensorRT for RTX is not installed.
        ModelError: the plan cannot be read.
    """

    def __init__(self, engine: Engine, rebuild: Rebuild | None = None, *, device: int = 0) -> None:
        super().__init__(device)
        fitting = fit_engine(engine, rebuild, self.device_index)
        self.name = fitting.sidecar.backend
        self.precision = NUMBERS[fitting.sidecar.precision]
        self._log = TensorRTLog(fitting.trt)
        self._library = library_name(fitting.trt, fitting.sidecar.backend)
        self._features = probe_features(fitting.trt)
        self._on_gpu = PrimaryContext(self.device_index)
        loading = Loading(self._on_gpu, self._features, self._log)
        while refusal := loading.load(engine.path, fitting):
            fitting = refit_engine(engine, fitting, refusal, rebuild)
        self.sidecar = fitting.sidecar
        # The engine is the runtime's, which must outlive it.
        self._runtime: Any = loading.runtime
        self._engine: Any = loading.engine
        self._tensors = _tensors_of(fitting.trt, self._engine, fitting.sidecar.manifest)
        self._kernels: KernelCache | None = None
        if self._features.runtime_cache:
            self._kernels = KernelCache(engine.path, _kernel_key(fitting))
        self._strategy: Any = None  # by which contexts are given their memory; None: TensorRT's
        self._hint = MemoryHint()
        self._most = 0  # bytes that a context takes for the largest shape
        # With one shape there is nothing to save, and less to go wrong.
        if self._features.context_memory and self._tensors.min != self._tensors.max:
            self._most = self._engine.device_memory_size_v2
        if self._most:
            self._strategy = fitting.trt.ExecutionContextAllocationStrategy.USER_MANAGED

    @property
    def batches(self) -> tuple[int, int]:
        """The smallest and the largest number of images in one run."""
        return self._tensors.min[0], self._tensors.max[0]

    @property
    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The smallest and the largest (height, width) in pixels."""
        return self._tensors.min[2:], self._tensors.max[2:]

    def open_worker(self) -> DeviceWorker:
        """Open a context of the engine with a stream and tensors of its own."""
        from edgecount import _ext

        with gpu_failures(self.name):
            stream = _ext.Stream(self.device_index, inner=True)
        memory = None
        if self._strategy is not None:
            memory = ContextMemory(self._most, self.device_index, self._hint)
        context = self._open_context(stream)
        if context is None:
            raise BackendError(
                f"{self._library} could not make room for one more stream of frames "
                f"({last_errors(self._log)}): count from fewer threads, or build the engine for "
                "smaller images (edgecount export --input)"
            )
        return _Worker(self, context, stream, memory)

    def close(self) -> None:
        """Free the engine."""
        super().close()
        if self.is_lost:
            return
        with self._on_gpu:
            if self._kernels is not None:
                self._kernels.save(last=True)
            self._kernels = self._engine = None
            self._runtime = None

    def _open_context(self, stream: Stream) -> Any:
        """Open a context that runs in a stream; return None where there is no room for it."""
        with self._lock, self._on_gpu:
            self._check_open()
            context = self._create_context()
            if context is not None and context.active_optimization_profile != 0:
                # TensorRT 8 gives the profile to the first context only.
                context.set_optimization_profile_async(0, stream.handle)
        return context

    def _create_context(self) -> Any:
        """Open a context that uses the kernels on the disk, without memory if it is given some."""
        if self._kernels is None:
            strategy = () if self._strategy is None else (self._strategy,)
            return self._engine.create_execution_context(*strategy)
        config = self._engine.create_runtime_config()
        if config is None:
            return None
        if self._strategy is not None:
            config.set_execution_context_allocation_strategy(self._strategy)
        self._kernels.attach(config)
        return self._engine.create_execution_context(config)


class _Tensors(NamedTuple):
    """Inputs and outputs of an engine.

    Attributes:
        image: name of the input.
        min: smallest shape of the input.
        max: largest shape of the input.
        dtypes: dtypes of all tensors by name.
        wanted: outputs that the manifest names; an engine may have more, which need room as well.
    """

    image: str
    min: Shape
    max: Shape
    dtypes: dict[str, str]
    wanted: tuple[str, ...]


class _Worker(DeviceWorker):
    """Contexts of an engine in one stream, which share their tensors and activation memory."""

    def __init__(
        self, backend: TensorRTBackend, context: Any, stream: Stream, memory: ContextMemory | None
    ) -> None:
        self.stream, self._context_memory = stream, memory
        self._context, self._on_gpu = context, backend._on_gpu
        self._tensors, self._features = backend._tensors, backend._features
        self._library, self._log = backend._library, backend._log
        self._kernels = backend._kernels
        self._arrays = DeviceTensors(stream)
        self._bound: Bound | None = None
        self._seen: set[Shape] = set()
        owner = ref(backend)  # which may hold this worker

        def open_more() -> Any:
            opener = owner()
            return None if opener is None else opener._open_context(stream)

        # Several are for graphs, which RTX does not allow where there are several shapes.
        several = not self._features.capture_query
        self._slots = ContextSlots(context, open_more if several else None, memory)
        self._slot: ContextSlot | None = None

    def bind(self, shape: Shape) -> Bound:
        # Nearly every frame ends here: its shape was bound before, and nothing has moved since.
        slot = self._slots.find(shape)
        if slot is not None and slot.bound is not None:
            self._slot, self._context = slot, slot.context
            self._bound, self.capturable = slot.bound, slot.capturable
            return slot.bound
        self._check_shape(shape)
        # Work that is queued still uses the tensors and the memory of the shape before.
        with gpu_failures():
            self.stream.synchronize()
        # From here on a failure leaves nothing bound, rather than tensors that have moved.
        self._bound, self.capturable = None, False
        if self._context is None:
            raise BackendError(f"{self._library}: the worker is closed")
        slot = self._slot = self._slots.renew(shape)
        self._context = slot.context
        # The order is TensorRT's: how much memory a context needs is known once its shape is set,
        # and it must have the memory before it runs.
        with self._on_gpu:
            shapes = self._shapes_for(shape)
            self._slots.give_memory(slot)
        # All slots share one piece of memory for their tensors, of which one is used at a time. A
        # larger piece lies elsewhere, so every slot must be told its addresses again.
        if not self._arrays.has_room(shapes, self._tensors.dtypes):
            self._slots.invalidate()
        arrays = self._arrays.arrange(shapes, self._tensors.dtypes)
        for name, array in arrays.items():
            if not self._context.set_tensor_address(name, array.ptr):
                raise self._failed(f"refuses the memory of {name}")
        outputs = {name: arrays[name] for name in self._tensors.wanted}
        self._bound = Bound(arrays[self._tensors.image], outputs)
        # The first run of a shape loads kernels, on RTX it compiles them, and a graph can record
        # only runs after it. That time is not to fall on a frame.
        if shape not in self._seen:
            self.warm_up()
            self._seen.add(shape)
            if self._kernels is not None:
                with self._on_gpu:
                    self._kernels.save()
        # Last, so that a slot whose first run failed is set up again.
        slot.bound = self._bound
        return self._bound

    def enqueue(self) -> None:
        if self._bound is None:
            raise BackendError(f"{self._library}: bind a shape before a run")
        with self._on_gpu:
            if not self._context.execute_async_v3(self.stream.handle):
                raise self._failed(f"failed on an input of {_text(self._bound.input.shape)}")
            if not self.capturable and self._slot is not None:
                self.capturable = self._slot.capturable = self._can_capture()

    def close(self) -> None:
        if self._context is None or self._on_gpu.is_lost:
            return
        with suppress(RuntimeError):  # of a GPU that failed: nothing is left to wait for
            self.stream.synchronize()
        with self._on_gpu:
            self._slots.close()
            self._bound = self._slot = self._context = self._kernels = None
        self.capturable = False
        self._arrays.close()
        if self._context_memory is not None:
            self._context_memory.close()

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        low, high = self._tensors.min, self._tensors.max
        fits = len(shape) == 4 and all(
            a <= side <= b for a, side, b in zip(low, shape, high, strict=True)
        )
        if not fits:
            takes = _text(low) if low == high else f"{_text(low)} to {_text(high)}"
            raise BackendError(
                f"the engine takes images of {takes} (frames, channels, height, width), got "
                f"{_text(shape)}: build it for that with  edgecount export --input  and  --batch"
            )

    def _shapes_for(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Set the input's shape, and return the shapes of all tensors."""
        if not self._context.set_input_shape(self._tensors.image, shape):
            raise self._failed(f"refuses the shape {_text(shape)}")
        try:
            missing = self._context.infer_shapes()
        except RuntimeError as error:
            raise self._failed(f"cannot tell the shapes of its maps: {error}") from error
        if missing:
            raise self._failed(f"cannot tell the shapes of {', '.join(missing)}")
        found = {name: tuple(self._context.get_tensor_shape(name)) for name in self._tensors.dtypes}
        for name, sides in found.items():
            if min(sides, default=1) < 1:
                raise BackendError(
                    f"the engine's {name} has the shape {_text(sides)}, which depends on what the "
                    "image shows: build it from a model whose maps have fixed sizes"
                )
        return found

    def _can_capture(self) -> bool:
        if not self._features.capture_query:
            return True
        # RTX exchanges the kernels of a dynamic shape for better ones while frames run, which a
        # recorded graph would never see.
        static = self._tensors.min == self._tensors.max
        return static and bool(self._context.is_stream_capturable(self.stream.handle))

    def _failed(self, what: str) -> BackendError:
        return BackendError(f"{self._library} {what} ({last_errors(self._log)})")


def _kernel_key(fitting: FittingEngine) -> dict[str, str]:
    """Return all that compiled kernels depend on."""
    gpu = fitting.gpu
    return {
        "engine": fitting.sidecar.plan_sha256[:16],
        "TensorRT": fitting.trt.__version__,
        "GPU": f"{gpu.kind} ({gpu.capability})",
        "driver": f"CUDA {fitting.driver.cuda}",
    }


def _tensors_of(trt: ModuleType, engine: Any, manifest: Manifest) -> _Tensors:
    """Return the inputs and outputs of an engine, checked against its manifest.

    Raises:
        BackendError: they are not those that the manifest names.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    outputs = [name for name in names if name not in inputs]
    wanted = tuple(output.name for output in manifest.outputs)
    if inputs != [manifest.input.name] or not set(wanted) <= set(outputs):
        raise BackendError(
            f"the engine's tensors are {', '.join(inputs)} in and {', '.join(outputs)} out, and "
            f"its manifest names {manifest.input.name} in and {', '.join(wanted)} out: export it "
            "again"
        )
    dtypes = {name: dtype_name(engine.get_tensor_dtype(name)) for name in names}
    for name, dtype in dtypes.items():
        if dtype not in ("float32", "float16"):
            raise BackendError(
                f"the engine's {name} is {dtype}, expected float32 or float16: export it again"
            )
    return _Tensors(inputs[0], *_range_of(engine, inputs[0]), dtypes, wanted)


def _range_of(engine: Any, image: str) -> tuple[Shape, Shape]:
    """Return the smallest and the largest shape of the input."""
    shape = tuple(engine.get_tensor_shape(image))
    low = high = shape
    if -1 in shape:
        low, _, high = map(tuple, engine.get_tensor_profile_shape(image, 0))
    if len(shape) != 4:
        raise BackendError(f"the engine's {image} has the shape {shape}, expected (B, 3, H, W)")
    return low, high


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
