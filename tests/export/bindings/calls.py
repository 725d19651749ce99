"""Run the TensorRT backend on real bindings over recorded objects; in a process of its own.

It writes the calls that reach TensorRT to its output, as JSON.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from interface import Answer, Recorded, int32, text_at

from edgecount import _ext
from edgecount.manifest import InputSpec, Manifest, OutputSpec
from edgecount.runtime.backends.tensorrt import backend as module
from edgecount.runtime.backends.tensorrt.compatibility import FittingEngine
from edgecount.runtime.backends.tensorrt.library import load_tensorrt, probe_features
from edgecount.runtime.cuda.driver import Device, Driver
from edgecount.runtime.models.engines import Engine
from edgecount.runtime.models.sidecar import EngineSidecar, InputShapes

PLAN = b"a plan"
SHAPES = ((1, 3, 64, 64), (1, 3, 64, 96), (4, 3, 128, 160))  # min, opt, max
TENSORS = ("image", "density", "heat")
STRIDES = {"image": 1, "density": 8, "heat": 4}
CHANNELS = {"image": 3, "density": 1, "heat": 1}
STREAM, MEMORY = 0x5000, 0x70000000  # addresses that nothing is read from


class Engines:
    """A runtime with an engine of three tensors, and its contexts.

    Each function gets the object's name and the call's arguments, and returns the arguments to
    record and the answer.
    """

    def __init__(self, *, wide: bool) -> None:
        self._wide = wide
        self._names = [ctypes.create_string_buffer(name.encode()) for name in TENSORS]
        self._shapes: dict[str, tuple[int, ...]] = {}  # by context
        self.profiles: dict[str, int] = {}
        runtime: dict[str, Answer] = {
            "getNbDLACores": lambda *_: ([], 0),
            "setEngineHostCodeAllowed": lambda _, allowed, *__: ([bool(allowed & 255)], None),
            "deserializeCudaEngine": lambda _, plan, size, *__: (
                [ctypes.string_at(plan, size).decode()],
                self.engine,
            ),
        }
        engine: dict[str, Answer] = {
            "getNbIOTensors": lambda *_: ([], len(TENSORS)),
            "getIOTensorName": lambda _, index, *__: (
                [int32(index)],
                ctypes.addressof(self._names[int32(index)]),
            ),
            "getTensorIOMode": lambda _, name, *__: (
                [text_at(name)],
                1 if text_at(name) == "image" else 2,
            ),
            "getTensorDataType": lambda _, name, *__: ([text_at(name)], 0),  # FLOAT
            "getTensorShape": lambda _, name, *__: (
                [text_at(name)],
                (-1, CHANNELS[text_at(name)], -1, -1),
            ),
            "getProfileShape": lambda _, name, profile, select, *__: (
                [text_at(name), int32(profile), int32(select)],
                SHAPES[int32(select)],
            ),
            "getDeviceMemorySizeV2": lambda *_: ([], 1 << 20),
            "createExecutionContext": self._create_context,
        }
        context: dict[str, Answer] = {
            "getEngine": lambda *_: ([], self.engine),
            "getOptimizationProfile": lambda name, *_: ([], int32(self.profiles[name])),
            "setOptimizationProfileAsync": self._set_profile,
            "setInputShape": self._set_shape,
            "inferShapes": lambda *_: ([], 0),
            "getTensorShape": self._shape_of,
            "updateDeviceMemorySizeForShapes": lambda name, *_: ([], self._memory_for(name)),
            "setDeviceMemoryV2": lambda _, memory, size, *__: ([memory, size], None),
            "setTensorAddress": lambda _, name, memory, *__: ([text_at(name), memory], True),
            "enqueueV3": lambda _, stream, *__: ([stream], True),
        }
        kinds = {"IRuntime": runtime, "ICudaEngine": engine, "IExecutionContext": context}
        answers = {f"{kind}.{name}": kinds[kind][name] for kind in kinds for name in kinds[kind]}
        self.recorded = Recorded(answers, wide=wide)
        self.runtime = self.recorded.make("IRuntime", "runtime")
        self.engine = self.recorded.make("ICudaEngine", "engine")

    def _create_context(self, _: str, strategy: int, *__: int) -> Any:
        name = f"context {len(self.profiles)}"
        # TensorRT 8 gives the profile to the first context alone, and knows no strategies.
        self.profiles[name] = 0 if self._wide or not self.profiles else -1
        given = [int32(strategy)] if self._wide else []
        return given, self.recorded.make("IExecutionContext", name)

    def _set_profile(self, name: str, profile: int, stream: int, *_: int) -> Any:
        self.profiles[name] = int32(profile)
        return [int32(profile), stream], True

    def _set_shape(self, name: str, tensor: int, dims: int, *_: int) -> Any:
        self._shapes[name] = self.recorded.dims_at(dims)
        return [text_at(tensor), list(self._shapes[name])], True

    def _shape_of(self, name: str, tensor: int, *_: int) -> Any:
        batch, _channels, height, width = self._shapes[name]
        stride = STRIDES[text_at(tensor)]
        shape = (batch, CHANNELS[text_at(tensor)], height // stride, width // stride)
        return [text_at(tensor)], shape

    def _memory_for(self, name: str) -> int:
        batch, _channels, height, width = self._shapes[name]
        return 64 * batch * height * width


def learn(trt: Any, log: Any, engines: Engines) -> None:
    """Find out which slot of each class is which function, by calls whose function is known."""
    features, learn = probe_features(trt), engines.recorded.learn
    runtime = trt.Runtime(log)
    found: dict[str, Any] = {}

    def keep(name: str, thing: Any) -> None:
        found[name] = thing

    learn(["IRuntime.getNbDLACores"], lambda: runtime.num_DLA_cores)
    learn(
        ["IRuntime.setEngineHostCodeAllowed"],
        lambda: setattr(runtime, "engine_host_code_allowed", True),
    )
    load = ["IRuntime.deserializeCudaEngine"]
    learn(load, lambda: keep("engine", runtime.deserialize_cuda_engine(PLAN)))
    engine = found["engine"]
    learn(["ICudaEngine.getNbIOTensors"], lambda: engine.num_io_tensors)
    learn(["ICudaEngine.getIOTensorName"], lambda: engine.get_tensor_name(0))
    learn(["ICudaEngine.getTensorIOMode"], lambda: engine.get_tensor_mode("image"))
    learn(["ICudaEngine.getTensorDataType"], lambda: engine.get_tensor_dtype("image"))
    learn(["ICudaEngine.getTensorShape"], lambda: engine.get_tensor_shape("image"))
    learn(["ICudaEngine.getProfileShape"], lambda: engine.get_tensor_profile_shape("image", 0))
    opened = ["ICudaEngine.createExecutionContext"]
    learn(opened, lambda: keep("context", engine.create_execution_context()))
    context = found["context"]
    name = "IExecutionContext."
    learn([name + "getOptimizationProfile"], lambda: context.active_optimization_profile)
    profile = [name + "setOptimizationProfileAsync"]
    learn(profile, lambda: context.set_optimization_profile_async(0, STREAM))
    learn([name + "setInputShape"], lambda: context.set_input_shape("image", SHAPES[0]))
    learn([name + "getEngine", name + "inferShapes"], context.infer_shapes)
    learn([name + "getTensorShape"], lambda: context.get_tensor_shape("heat"))
    learn([name + "setTensorAddress"], lambda: context.set_tensor_address("heat", MEMORY))
    learn([name + "enqueueV3"], lambda: context.execute_async_v3(STREAM))
    if features.context_memory:
        learn(["ICudaEngine.getDeviceMemorySizeV2"], lambda: engine.device_memory_size_v2)
        update = [name + "updateDeviceMemorySizeForShapes"]
        learn(update, context.update_device_memory_size_for_shapes)
        learn([name + "setDeviceMemoryV2"], lambda: context.set_device_memory(MEMORY, 1 << 20))


class Stream:
    """Takes the place of the extension's, and says when the host waits for it."""

    recorded: Recorded

    def __init__(self, device: int = 0, *, inner: bool = False) -> None:
        self.device, self.inner, self.handle = device, inner, STREAM

    def synchronize(self) -> None:
        self.recorded.calls.append(("stream", "synchronize", []))


class Buffer:
    """Takes the place of the extension's memory: each at an address of its own."""

    made = 0

    def __init__(self, nbytes: int, device: int) -> None:
        self.nbytes, self.ptr = nbytes, MEMORY + (Buffer.made << 24)
        Buffer.made += 1

    def array(self, shape: tuple[int, ...], dtype: str, offset: int) -> Any:
        return SimpleNamespace(shape=shape, dtype=dtype, ptr=self.ptr + offset)


def make_sidecar(version: str) -> EngineSidecar:
    """Return the sidecar of a version-compatible engine of the tensors above."""
    manifest = Manifest(
        name="recorded",
        version="1",
        description="None.",
        input=InputSpec(max_side=512),
        outputs=(OutputSpec("density", "density", 8), OutputSpec("heat", "heatmap", 4)),
        licence="none",
    )
    return EngineSidecar(
        manifest=manifest,
        onnx_sha256="0",
        plan_sha256="0",
        precision="fp16",
        shapes=InputShapes(*SHAPES),  # type: ignore[arg-type]
        backend="tensorrt",
        version=version,
        compute_capabilities=("8.7",),
        created_by="0",
        options={"version_compatible": True},
    )


def run(engines: Engines, sidecar: EngineSidecar) -> None:
    """Open, count and close as a counter of two cameras does."""
    opened = module.TensorRTBackend(Engine(Path("model.engine"), sidecar))
    mark = lambda text: engines.recorded.calls.append(("test", text, []))  # noqa: E731
    mark("open")
    worker = opened.open_worker()
    for shape in (SHAPES[1], (2, *SHAPES[1][1:]), SHAPES[1]):
        mark("bind " + "x".join(map(str, shape)))
        worker.bind(shape)
        mark("enqueue")
        worker.enqueue()
    mark("open another")
    other = opened.open_worker()
    mark("close")
    other.close()
    worker.close()
    opened.close()


def main() -> None:
    trt = load_tensorrt("tensorrt")
    engines = Engines(wide=int(trt.__version__.partition(".")[0]) >= 10)
    library = ctypes.CDLL(sys.argv[1])
    library.give_runtime(ctypes.c_void_p(engines.runtime))
    learn(trt, trt.Logger(), engines)
    engines.recorded.calls.clear()
    engines.profiles.clear()
    Stream.recorded = engines.recorded
    _ext.Stream, _ext.DeviceBuffer = Stream, Buffer  # type: ignore[assignment, misc]
    sidecar = make_sidecar(trt.__version__)
    gpu = Device("Orin", "8.7", 1 << 33, 8)
    fitting = FittingEngine(trt, PLAN, sidecar, gpu, Driver("12.6", [gpu]))
    module.fit_engine = lambda *_: fitting  # type: ignore[assignment]
    run(engines, sidecar)
    print(json.dumps(engines.recorded.calls))  # noqa: T201


if __name__ == "__main__":
    main()
