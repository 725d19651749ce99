"""A float32 graph as an INT8 one, in the two encodings that engines want.

Both say with QuantizeLinear and DequantizeLinear where bytes stand; each tensor's range comes from
a calibration. They differ because the engines do: TensorRT wants signed bytes around zero and no
quantised bias, ONNX Runtime's CPU kernels unsigned bytes with a zero point and a bias in 32 bits.
Either engine runs the other's encoding slower than float32, or refuses it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ModelError
from edgecount.export.graph.names import Names
from edgecount.export.graph.queries import consumers, element_types, weights, with_subgraphs

if TYPE_CHECKING:
    import onnx

Encoding = Literal["tensorrt", "cpu"]
Ranges = Mapping[str, tuple[float, float]]

CONVOLUTIONS = ("Conv", "ConvTranspose")
_CUTS = ("Relu", "Clip")  # activations that a range can take over
_FLOAT = 1
# The least step of a byte: the product of two, a bias's step, must not be 0 in float32.
_SMALLEST = 2.0**-60
_BIAS = 2.0**30  # steps that a bias may take, of the 2^31 that 32 bits hold


def quantisable(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that can compute in bytes, in order: convolutions and sums of two maps."""
    fixed, types = weights(model), element_types(model)
    return [
        node.name
        for node in model.graph.node
        if (
            node.op_type in CONVOLUTIONS
            and node.input[1] in fixed
            and types.get(node.input[0]) == _FLOAT
        )
        or (
            node.op_type == "Add"
            and not fixed.keys() & set(node.input)
            and all(types.get(name) == _FLOAT for name in node.input)
        )
    ]


def watched(model: onnx.ModelProto) -> list[str]:
    """The tensors whose ranges :func:`to_int8` may ask for."""
    nodes = set(quantisable(model))
    readers = consumers(model)
    found: dict[str, None] = {}
    for node in model.graph.node:
        if node.name in nodes:
            inputs = node.input[:1] if node.op_type in CONVOLUTIONS else node.input
            found |= dict.fromkeys(inputs) | {_after(node, readers): None}
    return list(found)


def to_int8(
    model: onnx.ModelProto, ranges: Ranges, encoding: Encoding, keep: Collection[str] = ()
) -> onnx.ModelProto:
    """A copy whose convolutions and sums compute in bytes, but for those in ``keep``.

    Args:
        model: float32, as :func:`edgecount.export.graph.queries.tidy` leaves it.
        ranges: of every tensor of :func:`watched`; 0 lies inside.
        encoding: ``tensorrt``: signed, symmetric, both ends of a sum, weights per channel, biases
            as they are; ``cpu``: unsigned with a zero point, outputs as well as inputs, biases in
            32 bits.
        keep: names of nodes that stay in float32.

    Raises:
        ModelError: a node holds a graph of its own, whose tensors cannot be followed.
    """
    import onnx

    if inner := with_subgraphs(model):
        raise ModelError(
            f"INT8 needs a graph without If, Loop and Scan, got {', '.join(inner)}: export the "
            "network without them, or without --int8"
        )

    made = onnx.ModelProto()
    made.CopyFrom(model)
    chosen = set(quantisable(model)) - set(keep)
    encoder = _Encoder(made, ranges, encoding)
    readers = consumers(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        turned = onnx.NodeProto()
        turned.CopyFrom(node)
        if node.name in chosen:
            encoder.feed(turned, nodes)
        nodes.append(turned)
    if encoding == "cpu":
        nodes = encoder.requantise_outputs(nodes, chosen, readers)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    encoder.drop_unused()
    return made


@dataclass(frozen=True)
class Step:
    """How a float becomes a byte: ``round(x / scale) + zero``."""

    scale: np.float32
    zero: NDArray[np.generic]  # 0-d, int8 or uint8


def activation_step(low: float, high: float, encoding: Encoding) -> Step:
    """The step of a tensor between these ends; any will do where both are 0."""
    if encoding == "tensorrt":
        scale = max(-low / 127, high / 127, _SMALLEST) if low < high else 1.0
        return Step(np.float32(scale), np.array(0, np.int8))
    scale = max((high - low) / 255, _SMALLEST) if low < high else 1.0
    return Step(np.float32(scale), np.array(round(-low / scale), np.uint8))


def weight_scales(weight: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """(channels,) step of each channel's weights, symmetric; any will do for a channel of zeros."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(others)
    return np.where(largest > 0, np.maximum(largest / 127, _SMALLEST), 1.0).astype(np.float32)


class _Encoder:
    """Adds pairs of QuantizeLinear and DequantizeLinear, one for each tensor."""

    def __init__(self, model: onnx.ModelProto, ranges: Ranges, encoding: Encoding) -> None:
        self._graph = model.graph
        self._ranges = ranges
        self._encoding = encoding
        self._weights = weights(model)
        self._pairs: dict[str, str] = {}
        self._scales: dict[str, NDArray[np.float32]] = {}
        self._names = Names(model)

    def feed(self, node: onnx.NodeProto, before: list[onnx.NodeProto]) -> None:
        """Let a node read bytes; what makes them is put before it."""
        if node.op_type == "Add":
            for index, name in enumerate(node.input):
                node.input[index] = self._activation(name, before)
            return
        source, name = node.input[:2]
        node.input[0] = self._activation(source, before)
        axis = 0 if node.op_type == "Conv" else 1
        weight = np.asarray(self._weights[name], np.float32)
        group = next((a.i for a in node.attribute if a.name == "group"), 1)
        # A transposed convolution's channels are counted within a group: one step for all.
        scales = weight_scales(weight, axis)
        if axis == 1 and group > 1:
            scales = np.full_like(scales, scales.max())
        has_bias = len(node.input) > 2 and node.input[2] in self._weights
        in_bytes = has_bias and self._encoding == "cpu" and (axis == 0 or group == 1)
        if in_bytes:
            # Beside tiny weights of a dead channel, its bias would not fit into 32 bits.
            scales = np.maximum(scales, self._least_scales(node.input[2], source))
        key = f"{name}_by_{axis}"
        # A weight that several nodes read has the steps of the first.
        scales = self._scales.setdefault(key, scales)
        node.input[1] = self._weight(key, name, weight, scales, axis, before)
        if in_bytes and (scales >= self._least_scales(node.input[2], source)).all():
            label = name if axis == 0 else key
            node.input[2] = self._bias(node.input[2], label, source, scales, before)

    def _least_scales(self, bias: str, source: str) -> NDArray[np.float32]:
        """(channels,) steps of the weights that a bias needs to fit."""
        step = activation_step(*self._ranges[source], "cpu").scale
        values = np.abs(np.asarray(self._weights[bias], np.float64))
        least: NDArray[np.float32] = (values / (float(step) * _BIAS)).astype(np.float32)
        return least

    def requantise_outputs(
        self,
        nodes: list[onnx.NodeProto],
        chosen: set[str],
        readers: Mapping[str, list[onnx.NodeProto]],
    ) -> list[onnx.NodeProto]:
        """Give each chosen node's output, after its activation, a pair of its own.

        ONNX Runtime's byte kernels take the place of a node whose inputs and output are bytes. The
        range starts and ends where a Relu or Clip cuts, so that the cut itself falls away.
        """
        by_name = {node.name: node for node in nodes}
        wanted = {_after(by_name[name], readers) for name in chosen}
        outputs = {value.name for value in self._graph.output}
        made: list[onnx.NodeProto] = []
        for node in nodes:
            made.append(node)
            for name in node.output:
                if name in wanted and name not in self._pairs and name not in outputs:
                    self._activation(name, made)
        paired = {name for name in wanted if name in self._pairs}
        for node in made:
            if node.op_type == "QuantizeLinear":
                continue
            for index, name in enumerate(node.input):
                if name in paired:
                    node.input[index] = self._pairs[name]
        return _sorted_pairs(made)

    def drop_unused(self) -> None:
        """Take out the weights that nothing reads any more."""
        used = {name for node in self._graph.node for name in node.input}
        kept = [weight for weight in self._graph.initializer if weight.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _activation(self, name: str, before: list[onnx.NodeProto]) -> str:
        if name not in self._pairs:
            step = activation_step(*self._ranges[name], self._encoding)
            scale = self._constant(f"{name}_scale", np.array(step.scale))
            zero = self._constant(f"{name}_zero", step.zero)
            self._pairs[name] = self._pair(name, [name, scale, zero], before)
        return self._pairs[name]

    def _weight(
        self,
        key: str,
        name: str,
        weight: NDArray[np.float32],
        scales: NDArray[np.float32],
        axis: int,
        before: list[onnx.NodeProto],
    ) -> str:
        if key in self._pairs:
            return self._pairs[key]
        scale = self._constant(f"{key}_scale", scales)
        zero = self._constant(f"{key}_zero", np.zeros(len(scales), np.int8))
        if self._encoding == "tensorrt":
            # TensorRT's parsers take float weights through a pair in every version.
            self._pairs[key] = self._pair(key, [name, scale, zero], before, axis=axis)
            return self._pairs[key]
        shape = [1] * weight.ndim
        shape[axis] = -1
        whole = np.clip(np.rint(weight / scales.reshape(shape)), -127, 127).astype(np.int8)
        stored = self._constant(f"{key}_bytes", whole)
        self._pairs[key] = self._dequantise(key, [stored, scale, zero], before, axis=axis)
        return self._pairs[key]

    def _bias(
        self,
        name: str,
        weight: str,
        source: str,
        scales: NDArray[np.float32],
        before: list[onnx.NodeProto],
    ) -> str:
        key = f"{name}_of_{source}_by_{weight}"
        if key in self._pairs:
            return self._pairs[key]
        steps = activation_step(*self._ranges[source], "cpu").scale * scales
        bias = np.asarray(self._weights[name], np.float64) / steps
        ends = np.iinfo(np.int32)
        stored = self._constant(
            f"{key}_bytes", np.clip(np.rint(bias), ends.min, ends.max).astype(np.int32)
        )
        scale = self._constant(f"{key}_scale", steps.astype(np.float32))
        zero = self._constant(f"{key}_zero", np.zeros(len(steps), np.int32))
        self._pairs[key] = self._dequantise(key, [stored, scale, zero], before, axis=0)
        return self._pairs[key]

    def _pair(
        self, name: str, inputs: list[str], before: list[onnx.NodeProto], **attributes: Any
    ) -> str:
        from onnx import helper

        middle, label = (self._names.free(f"{name}_{end}") for end in ("quantised", "quantise"))
        before.append(helper.make_node("QuantizeLinear", inputs, [middle], label, **attributes))
        return self._dequantise(name, [middle, *inputs[1:]], before, **attributes)

    def _dequantise(
        self, name: str, inputs: list[str], before: list[onnx.NodeProto], **attributes: Any
    ) -> str:
        from onnx import helper

        output, label = (self._names.free(f"{name}_{end}") for end in ("dequantised", "dequantise"))
        before.append(helper.make_node("DequantizeLinear", inputs, [output], label, **attributes))
        return output

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        free = self._names.free(name)
        self._graph.initializer.append(numpy_helper.from_array(value, free))
        return free


def _after(node: onnx.NodeProto, readers: Mapping[str, list[onnx.NodeProto]]) -> str:
    """A node's output, or that of the Relu or Clip that alone reads it."""
    name: str = node.output[0]
    following = readers.get(name, [])
    if len(following) == 1 and following[0].op_type in _CUTS and following[0].input[0] == name:
        return str(following[0].output[0])
    return name


def _sorted_pairs(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes with each after what it reads; a pair may have been made at its first reader."""
    waiting = {name for node in nodes for name in node.output}
    made: list[onnx.NodeProto] = []
    pending = nodes
    while pending:
        later = []
        for node in pending:
            if any(name in waiting for name in node.input):
                later.append(node)
                continue
            made.append(node)
            waiting -= set(node.output)
        assert len(later) < len(pending), "a cycle"
        pending = later
    return made
