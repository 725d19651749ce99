"""PyTorch as an engine for a bundled model, where no other engine is installed for the GPU.

It stands in for one so that the steps around an engine can be measured: TensorRT is faster.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from extension import EMULATED, _ext
from onnx import helper, numpy_helper
from torch.nn import functional

from edgecount.errors import BackendError
from edgecount.runtime.backends.device import Bound, DeviceBackend, DeviceWorker
from edgecount.runtime.models.model_file import ModelFile

Attributes = Mapping[str, Any]


def _conv(attributes: Attributes, image: Any, weight: Any, bias: Any = None) -> Any:
    top, left, bottom, right = attributes["pads"]
    assert (top, left) == (bottom, right)
    spacing = attributes["strides"], (top, left), attributes["dilations"], attributes["group"]
    return functional.conv2d(image, weight, bias, *spacing)


def _resize(attributes: Attributes, image: Any, _: Any, scales: Any) -> Any:
    assert attributes["mode"] == b"nearest"
    return functional.interpolate(image, scale_factor=tuple(scales.tolist()[2:]), mode="nearest")


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": lambda _, a, b: a + b,
    "Clip": lambda _, x, low, high: torch.clamp(x, low, high),
    "Conv": _conv,
    "Greater": lambda _, a, b: a > b,
    "Relu": lambda _, x: torch.relu(x),
    "Resize": _resize,
    "Sigmoid": lambda _, x: torch.sigmoid(x),
    "Softplus": lambda _, x: functional.softplus(x),
    "Where": lambda _, condition, a, b: torch.where(condition, a, b),
}


class TorchEngine(DeviceBackend):
    """A model's ONNX graph, run by torch in float16, with float32 tensors around it.

    Args:
        model: a model whose graph has no other operators than those above.

    Raises:
        BackendError: there is no .onnx file, it needs other operators, or torch finds no GPU.
    """

    name = "torch (stand-in)"
    device = "cuda:0"
    device_index = 0
    batches = (1, 16)

    def __init__(self, model: ModelFile) -> None:
        super().__init__()
        if not EMULATED and not torch.cuda.is_available():
            raise BackendError("this torch finds no GPU")
        if model.path is None or model.path.suffix != ".onnx":
            raise BackendError("torch: expected an .onnx file")
        torch.backends.cudnn.benchmark = True
        self._manifest = model.manifest
        graph = onnx.load(model.path).graph
        unknown = {node.op_type for node in graph.node} - OPERATORS.keys()
        if unknown:
            raise BackendError(f"torch: no way to run {', '.join(sorted(unknown))}")
        self._place = torch.device("cpu" if EMULATED else "cuda:0")
        self._dtype = torch.float32 if EMULATED else torch.float16
        self._nodes = [
            (
                OPERATORS[node.op_type],
                {a.name: helper.get_attribute_value(a) for a in node.attribute},
                list(node.input),
                node.output[0],
            )
            for node in graph.node
        ]
        self._scales = {node.input[2] for node in graph.node if node.op_type == "Resize"}
        self._weights = {w.name: self._load(w) for w in graph.initializer}

    @property
    def input_name(self) -> str:
        """Return the name of the graph's image tensor."""
        return self._manifest.input.name

    def open_worker(self) -> TorchWorker:
        """See `DeviceBackend.open_worker`."""
        return TorchWorker(self)

    def _load(self, tensor: onnx.TensorProto) -> Any:
        values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        # Scales are read by the host, which must not wait for the GPU in the middle of a graph.
        if tensor.name in self._scales:
            return values
        values = values.to(self._place, self._dtype if values.is_floating_point() else None)
        # As the activations are: else every run would begin with turning the weights.
        return values.to(memory_format=torch.channels_last) if values.ndim == 4 else values

    @torch.no_grad()
    def run(self, image: Any) -> dict[str, Any]:
        """Return the float32 maps (B, C, h, w) of a (B, 3, H, W) image tensor, by name."""
        values = dict(self._weights)
        values[self.input_name] = image.to(self._dtype, memory_format=torch.channels_last)
        for operator, attributes, inputs, output in self._nodes:
            values[output] = operator(attributes, *(values.get(name) for name in inputs))
        return {output.name: values[output.name].float() for output in self._manifest.outputs}


class TorchWorker(DeviceWorker):
    """A CUDA graph of the network for one shape at a time."""

    def __init__(self, engine: TorchEngine) -> None:
        self._engine = engine
        self.stream = _ext.Stream()
        self._bound: Bound | None = None
        self._run: Callable[[], None] | None = None

    def bind(self, shape: tuple[int, int, int, int]) -> Bound:
        """See `DeviceWorker.bind`."""
        if self._bound is None or self._bound.input.shape != shape:
            image = torch.zeros(shape, device=self._engine._place)
            shapes = {name: tuple(m.shape) for name, m in self._engine.run(image).items()}
            self._bound = Bound(new_array(shape), {n: new_array(s) for n, s in shapes.items()})
            inner = as_tensor(self._bound.input)
            targets = {name: as_tensor(array) for name, array in self._bound.outputs.items()}

            def run() -> None:
                for name, values in self._engine.run(inner).items():
                    targets[name].copy_(values)

            self._run = run if EMULATED else self._record(run)
        return self._bound

    def enqueue(self) -> None:
        """See `DeviceWorker.enqueue`."""
        assert self._run is not None
        if EMULATED:
            self.stream.synchronize()
            self._run()
            return
        with torch.cuda.stream(torch.cuda.ExternalStream(self.stream.handle)):
            self._run()

    def close(self) -> None:
        """See `DeviceWorker.close`."""
        self._run = self._bound = None

    def _record(self, run: Callable[[], None]) -> Callable[[], None]:
        """Record the work as a graph, which runs in whatever stream is torch's current one."""
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            run()
        side.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate meanwhile.
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            run()
        torch.cuda.synchronize()
        replay: Callable[[], None] = graph.replay
        return replay


def new_array(shape: tuple[int, ...]) -> _ext.DeviceArray:
    """Return a float32 array on the GPU, not initialised."""
    return _ext.DeviceBuffer(4 * int(np.prod(shape))).array(shape, "float32")


def as_tensor(array: _ext.DeviceArray) -> Any:
    """Return the array as a tensor, which does not keep its memory alive in the emulation."""
    if not EMULATED:
        return torch.from_dlpack(array)
    memory = (ctypes.c_float * (array.nbytes // 4)).from_address(array.ptr)
    return torch.frombuffer(memory, dtype=torch.float32).view(array.shape)
