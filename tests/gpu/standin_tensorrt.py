"""TensorRT's face as far as the backend uses it, over ONNX Runtime and the host's memory.

Where the extension's device is the host, addresses of device memory can be read and written, so a
plan of this module (an ONNX file behind a line of JSON) runs for real. What TensorRT refuses is
refused here in the same way: by False, None or an empty answer, with the reason in the log.

The names and signatures are held to those of the real bindings by tests/export/bindings.
"""

from __future__ import annotations

import ctypes
import enum
import json
import math
import threading
from collections.abc import Sequence

import numpy as np
import onnxruntime

from edgecount import _ext

__version__ = "1.7.1"

_HEADER = b"stand-in "
_TYPES = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int32)": "INT32"}
_DTYPES = {"FLOAT": np.float32, "HALF": np.float16, "INT32": np.int32}
ALIGNMENT = 256
CACHE_OF = "kernels of this GPU"
BYTES = 64  # of memory that a context takes for each pixel


def make_plan(
    onnx: bytes,
    shapes: Sequence[Sequence[int]],
    *,
    validity: str = "VALID",
    diagnostics: int = 0,
) -> bytes:
    """Return a plan for the min, opt and max shape of the image tensor."""
    about = {"shapes": [list(s) for s in shapes], "validity": validity, "diagnostics": diagnostics}
    return _HEADER + json.dumps(about).encode() + b"\n" + onnx


class ILogger:
    class Severity(enum.Enum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class TensorIOMode(enum.Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1
    INT32 = 3


class EngineValidity(enum.Enum):
    VALID = 0
    SUBOPTIMAL = 1
    INVALID = 2


class EngineInvalidityDiagnostics(enum.IntEnum):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4
    OLD_CUDA_RUNTIME = 8
    INSUFFICIENT_GPU_MEMORY = 16
    MALFORMED_ENGINE = 32
    CUDA_ERROR = 64


class ExecutionContextAllocationStrategy(enum.Enum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class IRuntimeCache:
    """A cache that holds a line of text for each shape that kernels were compiled for."""

    def __init__(self) -> None:
        self.kernels: set[str] = set()

    def serialize(self) -> memoryview:
        return memoryview("\n".join([CACHE_OF, *sorted(self.kernels)]).encode())

    def deserialize(self, blob: bytes) -> bool:
        first, *kernels = bytes(blob).decode().split("\n")
        if first != CACHE_OF:
            return False
        self.kernels = set(kernels)
        return True


class IRuntimeConfig:
    def __init__(self) -> None:
        self.cache: IRuntimeCache | None = None
        self.strategy = ExecutionContextAllocationStrategy.STATIC

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache()

    def set_runtime_cache(self, cache: IRuntimeCache) -> bool:
        self.cache = cache
        return True

    def set_execution_context_allocation_strategy(
        self, strategy: ExecutionContextAllocationStrategy
    ) -> None:
        self.strategy = strategy


class Runtime:
    engine_host_code_allowed = False
    num_DLA_cores = 2  # noqa: N815 (TensorRT calls it so)
    DLA_core = -1

    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def get_engine_validity(self, buffer: bytes) -> tuple[EngineValidity, int]:
        about = _about(buffer)
        if about is None:
            return EngineValidity.INVALID, int(EngineInvalidityDiagnostics.MALFORMED_ENGINE)
        return EngineValidity[about["validity"]], about["diagnostics"]

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        about = _about(serialized_engine)
        if about is None:
            self._logger.log(ILogger.Severity.ERROR, "Magic tag does not match")
            return None
        return ICudaEngine(self._logger, serialized_engine.partition(b"\n")[2], about["shapes"])


def _about(plan: bytes) -> dict | None:
    if not plan.startswith(_HEADER):
        return None
    return json.loads(plan.partition(b"\n")[0][len(_HEADER) :])


class ICudaEngine:
    contexts_left = 64  # until the memory of the GPU is full
    compiled = 0  # kernels
    recordable = False  # what runs here is nothing that a CUDA graph could hold

    def __init__(self, logger: ILogger, onnx: bytes, shapes: list[list[int]]) -> None:
        self._logger, self._shapes = logger, shapes
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(onnx, options, providers=providers)
        self._inputs = {tensor.name: tensor for tensor in self._session.get_inputs()}
        self._tensors = self._inputs | {t.name: t for t in self._session.get_outputs()}
        self._lock = threading.Lock()

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType[_TYPES[self._tensors[name].type]]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        least, _, most = self._shapes
        if name in self._inputs:
            return tuple(a if a == b else -1 for a, b in zip(least, most, strict=True))
        sides = self._tensors[name].shape
        return tuple(side if isinstance(side, int) else -1 for side in sides)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        assert name in self._inputs
        assert profile_index == 0
        return [tuple(shape) for shape in self._shapes]

    @property
    def device_memory_size_v2(self) -> int:
        return memory_for(self._shapes[2])

    def create_runtime_config(self) -> IRuntimeConfig:
        return IRuntimeConfig()

    def create_execution_context(
        self, given: ExecutionContextAllocationStrategy | IRuntimeConfig | None = None
    ) -> IExecutionContext | None:
        config = given if isinstance(given, IRuntimeConfig) else IRuntimeConfig()
        if isinstance(given, ExecutionContextAllocationStrategy):
            config.strategy = given
        with self._lock:
            if self.contexts_left < 1:
                self._logger.log(ILogger.Severity.ERROR, "OutOfMemory: requested 512 MiB")
                return None
            self.contexts_left -= 1
        return IExecutionContext(self, config)


def memory_for(shape: Sequence[int]) -> int:
    """Return a context's bytes for a shape; not always a multiple of the alignment."""
    return BYTES * math.prod(shape) + 1


class IExecutionContext:
    """As TensorRT's, for one thread at a time; more are an error here, and not undefined."""

    runs = 0
    active_optimization_profile = -1  # as in TensorRT 8, for all contexts but the first

    def __init__(self, engine: ICudaEngine, config: IRuntimeConfig) -> None:
        self._engine, self._config = engine, config
        self._lent: tuple[int, int] | None = None  # address and size
        self._expected = engine.device_memory_size_v2
        self._image = next(iter(engine._inputs))
        self._shape: tuple[int, ...] | None = None
        self._outputs: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._busy = threading.Lock()

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        if profile_index or not stream_handle:
            return self._error(f"no profile {profile_index} in stream {stream_handle}")
        self.active_optimization_profile = profile_index
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if self.active_optimization_profile != 0:
            return self._error("the context has no optimization profile")
        least, _, most = self._engine._shapes
        if not all(a <= side <= b for a, side, b in zip(least, shape, most, strict=True)):
            return self._error(f"{name}: {shape} is outside of the profile")
        self._shape = tuple(shape)
        self._outputs = {}
        return True

    def infer_shapes(self) -> list[str]:
        return [] if self._shape else [self._image]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert self._shape
        if name == self._image:
            return self._shape
        if not self._outputs:
            dtype = _DTYPES[self._engine.get_tensor_dtype(self._image).name]
            maps = self._engine._session.run(None, {self._image: np.zeros(self._shape, dtype)})
            names = [tensor.name for tensor in self._engine._session.get_outputs()]
            self._outputs = {n: m.shape for n, m in zip(names, maps, strict=True)}
        return self._outputs[name]

    def update_device_memory_size_for_shapes(self) -> int:
        if not self._shape:
            self._error("the shapes are not set")
            return 0
        self._expected = memory_for(self._shape)
        return self._expected

    def set_device_memory(self, memory: int, size: int) -> None:
        if memory % ALIGNMENT or not memory or size < self._expected:
            self._error(f"{size} bytes at {memory:#x} are not {self._expected} that are aligned")
            return  # and what was lent before stays lent
        self._lent = memory, size

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if memory % ALIGNMENT or not memory:
            return self._error(f"{name}: the address {memory:#x} is not aligned")
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        if not stream_handle:
            return self._error("the default stream makes TensorRT wait for the whole GPU")
        if not self._busy.acquire(blocking=False):
            return self._error("the context is used by two threads at once")
        try:
            # What was queued before comes first; what is queued after this call comes after it.
            _ext.Stream(handle=stream_handle).synchronize()
            return self._run()
        finally:
            self._busy.release()

    def is_stream_capturable(self, stream: int) -> bool:
        return bool(stream) and self._engine.recordable

    def _run(self) -> bool:
        missing = [name for name in self._engine._tensors if name not in self._addresses]
        if missing or not self._shape:
            return self._error(f"without an address or a shape: {', '.join(missing)}")
        if self._config.strategy is ExecutionContextAllocationStrategy.USER_MANAGED:
            if self._lent is None or self._lent[1] < memory_for(self._shape):
                return self._error("the context has no memory")
            # Whatever else lies there is lost, and a sanitizer sees memory that was freed.
            ctypes.memset(self._lent[0], 0xA5, memory_for(self._shape))
        if self._config.cache is not None and str(self._shape) not in self._config.cache.kernels:
            self._config.cache.kernels.add(str(self._shape))
            self._engine.compiled += 1
        image = self._memory(self._image, self._shape)
        names = [tensor.name for tensor in self._engine._session.get_outputs()]
        maps = self._engine._session.run(names, {self._image: image.copy()})
        for name, values in zip(names, maps, strict=True):
            self._memory(name, values.shape)[...] = values
        self.runs += 1
        return True

    def _memory(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        dtype = np.dtype(_DTYPES[self._engine.get_tensor_dtype(name).name])
        size = math.prod(shape) * dtype.itemsize
        raw = (ctypes.c_uint8 * size).from_address(self._addresses[name])
        return np.frombuffer(raw, dtype).reshape(shape)

    def _error(self, text: str) -> bool:
        self._engine._logger.log(ILogger.Severity.ERROR, text)
        return False
