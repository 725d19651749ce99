"""Quantise a float32 graph to INT8, in the two encodings that engines want.

Both mark the quantised tensors with QuantizeLinear and DequantizeLinear (a QDQ pair); a calibration
gives each tensor's range. They differ because the engines do: TensorRT wants signed integers around
zero and float biases; ONNX Runtime's CPU kernels want unsigned integers with a zero point, outputs
as well as inputs, and biases in 32 bits. Either engine runs the other's encoding slower than
float32, or refuses it.

On x86 CPUs without VNNI, ONNX Runtime's kernels add the products of two neighbouring weights in 16
bits, which saturate there and not on other CPUs: one file would count differently from machine to
machine. So the CPU's weights are scaled until no two neighbours can reach that. Weights of 7 bits
(the library's ``reduce_range``) do so too, at up to four times the error; unsigned weights take
kernels that add in 32 bits, which are no faster than float32 there. OpenVINO's kernels saturate in
the same way and take the same encoding.

Rounded weights shift the mean of what a convolution gives, and the shifts of many layers add up to
counts that are all too low. Its bias takes the shift back (Nagel et al., "Data-free quantization
through weight equalization and bias correction", 2019, section 4.2), with means of the calibration
images in place of estimated ones. Measured on edgecount-s, on 40 pictures of 354 people on average:
with it the counts of a file all in INT8 differ by 0.8 %, without it those of one whose 6 most
sensitive layers are in float32 by 2.5 % (OpenVINO).

ONNX Runtime brings a quantiser of its own, which was tried with the same ranges (1.31). It fits the
bundled models as well as this one, but gives weights that a Conv and a ConvTranspose share one axis
for both (maps off by up to 26%), refuses grouped ConvTranspose in the CPU's encoding, takes names
that are taken already, and needs some fifteen times as long, which counts in a search for layers.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ModelError
from edgecount.export.graph.queries import (
    FreeNames,
    consumers,
    element_types,
    weights,
    with_subgraphs,
)

if TYPE_CHECKING:
    import onnx

Encoding = Literal["tensorrt", "cpu"]
Ranges = Mapping[str, tuple[float, float]]
Means = Mapping[str, NDArray[np.float64]]

CONVOLUTIONS = ("Conv", "ConvTranspose")
_ACTIVATIONS = ("Relu", "Clip")  # cuts that a quantised range can take over
_FLOAT = 1
# A smaller step would vanish where two are multiplied, which gives a bias's step in float32.
_SMALLEST = 2.0**-60
_BIAS = 2.0**30  # steps that a bias may take, of the 2^31 that 32 bits hold
# Two products of up to 255 times a weight stay below 2^15 with weights of up to 128 together; what
# rounding adds to the two is at most 1.
_PAIR = 127

# What is quantised: (tensor,), (weight, axis) or (bias, tensor, weight, axis). A weight has scales
# along an axis, and a bias has those of what it is added to.
_Key = tuple[str, ...]


def quantisable(model: onnx.ModelProto) -> list[str]:
    """Return the names of nodes that INT8 can compute: convolutions and sums of two maps."""
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


def calibrated_tensors(model: onnx.ModelProto) -> list[str]:
    """Return the names of the tensors whose ranges :func:`to_int8` needs."""
    nodes = set(quantisable(model))
    readers = consumers(model)
    found: dict[str, None] = {}
    for node in model.graph.node:
        if node.name in nodes:
            inputs = node.input[:1] if node.op_type in CONVOLUTIONS else node.input
            found |= dict.fromkeys([*inputs, _activated(node, readers)])
    return list(found)


def to_int8(
    model: onnx.ModelProto,
    ranges: Ranges,
    encoding: Encoding,
    keep: Collection[str] = (),
    means: Means | None = None,
) -> onnx.ModelProto:
    """Return a copy whose convolutions and sums compute in INT8, except those in ``keep``.

    Args:
        model: float32, as :func:`edgecount.export.graph.queries.tidy` leaves it.
        ranges: low and high end of every tensor of :func:`calibrated_tensors`; 0 lies inside.
        encoding: ``tensorrt``: int8, symmetric, weights per channel, biases in float32; ``cpu``:
            uint8 with a zero point, outputs as well as inputs, int8 weights per channel that
            saturate no kernel, biases in int32.
        keep: names of nodes that stay in float32.
        means: tensor to the mean (C,) of each of its channels, for the biases; None: those stay.

    Raises:
        ModelError: a node holds a graph of its own, whose tensors cannot be followed.
    """
    if inner := with_subgraphs(model):
        raise ModelError(
            f"INT8 needs a graph without If, Loop and Scan, got {', '.join(inner)}: export the "
            "network without them, or without `int8`"
        )
    made = copy.deepcopy(model)
    chosen = set(quantisable(model)) - set(keep)
    nodes = [node for node in made.graph.node if node.name in chosen]
    quantiser = _Quantiser(made, ranges, encoding, means or {})
    readers = consumers(model)
    outputs = [_activated(node, readers) for node in nodes]
    for node in nodes:
        quantiser.quantise_inputs(node)
    if encoding == "cpu":
        quantiser.quantise_outputs(outputs)
    quantiser.finish()
    return made


@dataclass(frozen=True)
class Step:
    """Scale and zero point of a tensor: a float ``x`` is stored as ``round(x / scale) + zero``."""

    scale: np.float32
    zero: NDArray[np.generic]  # 0-d, int8 or uint8


def activation_step(low: float, high: float, encoding: Encoding) -> Step:
    """Return the step of a tensor between these ends; any step will do where both are 0."""
    if encoding == "tensorrt":
        scale = max(-low / 127, high / 127, _SMALLEST) if low < high else 1.0
        return Step(np.float32(scale), np.array(0, np.int8))
    scale = max((high - low) / 255, _SMALLEST) if low < high else 1.0
    return Step(np.float32(scale), np.array(round(-low / scale), np.uint8))


def weight_scales(weight: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the symmetric scale (C,) of each channel's weights; channels of zeros get 1."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(others)
    return np.where(largest > 0, np.maximum(largest / 127, _SMALLEST), 1.0).astype(np.float32)


def unsaturated_scales(
    weight: NDArray[np.float32], scales: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return scales (O,) of a convolution's weights with which no sum of two products saturates.

    The kernels go through a channel's weights either with the input channels innermost or with the
    columns, two by two; activations are not negative, so that only weights of one sign add up.

    Args:
        weight: (O, I, h, w) or with other spatial axes.
        scales: (O,) scales that use the whole range.
    """
    channels = len(weight)
    orders = weight.reshape(channels, -1), np.moveaxis(weight, 1, -1).reshape(channels, -1)
    largest = np.zeros(channels, np.float32)
    for order in orders:
        pairs = np.pad(order, ((0, 0), (0, order.shape[1] % 2))).reshape(channels, -1, 2)
        for signed in (pairs, -pairs):
            largest = np.maximum(largest, np.maximum(signed, 0).sum(2).max(1))
    return np.maximum(scales, largest / _PAIR)


def mean_shift(
    weight: NDArray[np.float32],
    scales: NDArray[np.float32],
    means: NDArray[np.float64],
    group: int = 1,
) -> NDArray[np.float64]:
    """Return by how much rounded weights raise the mean (O,) of what a convolution gives.

    Args:
        weight: (O, I / group, h, w) or with other spatial axes.
        scales: (O,) scales of the weights.
        means: (I,) mean values of the input's channels; the zeros around a map are left aside.
        group: number of groups of channels.
    """
    steps = scales.astype(np.float64).reshape(-1, *[1] * (weight.ndim - 1))
    rounded = np.clip(np.rint(weight / steps), -127, 127) * steps
    errors = (rounded - weight).reshape(group, -1, *weight.shape[1:2], weight[0, 0].size).sum(3)
    known = np.where(np.isfinite(means), means, 0.0).reshape(group, 1, -1)
    return np.asarray((errors * known).sum(2).reshape(-1))


class _Quantiser:
    """Add QDQ pairs to a graph, one for each tensor.

    Args:
        model: changed in place.
        ranges: see :func:`to_int8`.
        encoding: see :func:`to_int8`.
        means: see :func:`to_int8`.
    """

    def __init__(
        self, model: onnx.ModelProto, ranges: Ranges, encoding: Encoding, means: Means
    ) -> None:
        self._means = means
        self._graph, self._ranges, self._on_cpu = model.graph, ranges, encoding == "cpu"
        self._encoding = encoding
        self._weights = weights(model)
        self._names = FreeNames(model)
        self._dequantised: dict[_Key, str] = {}
        self._pairs: dict[_Key, list[onnx.NodeProto]] = {}
        self._scales: dict[_Key, NDArray[np.float32]] = {}  # of the weights

    def quantise_inputs(self, node: onnx.NodeProto) -> None:
        """Let a convolution or a sum read quantised tensors."""
        if node.op_type == "Add":
            node.input[:] = [self._activation(name) for name in node.input]
            return
        source, name, *biases = node.input
        axis = 0 if node.op_type == "Conv" else 1
        weight = np.asarray(self._weights[name], np.float32)
        group = next((a.i for a in node.attribute if a.name == "group"), 1)
        scales = weight_scales(weight, axis)
        is_depthwise = weight.shape[1] == 1 and group == len(weight)
        if self._on_cpu and axis == 0 and not is_depthwise:  # those have kernels of their own
            scales = unsaturated_scales(weight, scales)
        # A transposed convolution's channels are counted within a group: one scale for all, and
        # no bias that a scale of each channel would need.
        in_groups = axis == 1 and group > 1
        if in_groups:
            scales = np.full_like(scales, scales.max())
        bias = next((b for b in biases if b in self._weights), "")
        lowest = None
        if bias and self._on_cpu and not in_groups:
            # Beside the tiny weights of a dead channel, its bias would not fit into 32 bits.
            lowest = self._min_scales(bias, source)
            scales = np.maximum(scales, lowest)
        # A weight that several nodes read has the scales of the first.
        scales = self._scales.setdefault((name, str(axis)), scales)
        shift = np.zeros(())
        # A transposed convolution's outputs take different parts of its weights.
        if axis == 0 and bias and source in self._means:
            shift = mean_shift(weight, scales, self._means[source], group)
        if lowest is not None and (scales >= lowest).all():
            node.input[2] = self._bias(bias, source, (name, str(axis)), shift)
        elif shift.any():
            value = (np.asarray(self._weights[bias], np.float64) - shift).astype(np.float32)
            node.input[2] = self._constant(f"{bias}_of_rounded", value)
        node.input[0], node.input[1] = self._activation(source), self._weight(name, weight, axis)

    def quantise_outputs(self, names: Collection[str]) -> None:
        """Give the outputs of the quantised nodes a QDQ pair, too, for all that read them.

        ONNX Runtime's integer kernels replace a node whose inputs and output are quantised. The
        range of an output behind a Relu or Clip ends where that cuts, so that it can be left out.
        """
        outputs = {value.name for value in self._graph.output}
        wanted = {name for name in names if (name,) in self._dequantised or name not in outputs}
        for node in self._graph.node:
            node.input[:] = [self._activation(n) if n in wanted else n for n in node.input]

    def finish(self) -> None:
        """Put each pair behind what makes its tensor, and drop weights that nothing reads now."""
        nodes = list(self._graph.node)
        made = {name for node in nodes for name in node.output}
        ordered = [n for key, pair in self._pairs.items() if key[0] not in made for n in pair]
        for node in nodes:
            ordered.append(node)
            for name in node.output:
                ordered += self._pairs.get((name,), ())
        del self._graph.node[:]
        self._graph.node.extend(ordered)
        used = {name for node in ordered for name in node.input}
        kept = [weight for weight in self._graph.initializer if weight.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _min_scales(self, bias: str, source: str) -> NDArray[np.float32]:
        """Return the smallest scales (C,) of the weights with which a bias fits into 32 bits."""
        step = activation_step(*self._ranges[source], "cpu").scale
        values = np.abs(np.asarray(self._weights[bias], np.float64))
        return np.asarray(values / (float(step) * _BIAS), np.float32)

    def _activation(self, name: str) -> str:
        key = (name,)
        if key not in self._dequantised:
            step = activation_step(*self._ranges[name], self._encoding)
            self._add(key, np.array(step.scale), step.zero)
        return self._dequantised[key]

    def _weight(self, name: str, weight: NDArray[np.float32], axis: int) -> str:
        key = (name, str(axis))
        if key not in self._dequantised:
            scales = self._scales[key]
            zero = np.zeros(len(scales), np.int8)
            if self._on_cpu:
                shape = [1] * weight.ndim
                shape[axis] = -1
                whole = np.clip(np.rint(weight / scales.reshape(shape)), -127, 127).astype(np.int8)
                self._add(key, scales, zero, whole, axis=axis)
            else:
                # TensorRT's parsers take float weights through a pair in every version.
                self._add(key, scales, zero, axis=axis)
        return self._dequantised[key]

    def _bias(self, name: str, source: str, weight: _Key, shift: NDArray[np.float64]) -> str:
        key = (name, source, *weight)
        if key not in self._dequantised:
            step = activation_step(*self._ranges[source], "cpu").scale
            scales = (step * self._scales[weight]).astype(np.float32)
            ends = np.iinfo(np.int32)
            whole = np.rint((np.asarray(self._weights[name], np.float64) - shift) / scales)
            stored = np.clip(whole, ends.min, ends.max).astype(np.int32)
            self._add(key, scales, np.zeros(len(scales), np.int32), stored, axis=0)
        return self._dequantised[key]

    def _add(
        self,
        key: _Key,
        scale: NDArray[np.float32],
        zero: NDArray[np.generic],
        stored: NDArray[np.generic] | None = None,
        **attributes: Any,
    ) -> None:
        """Quantise and dequantise a float tensor, or dequantise integers stored in its place."""
        from onnx import helper

        name, free = "_by_".join(key), self._names.free
        if stored is None:
            source, label = free(f"{name}_quantised"), free(f"{name}_quantise")
        else:
            source, label = self._constant(f"{name}_integers", stored), ""
        step = [self._constant(f"{name}_scale", scale), self._constant(f"{name}_zero", zero)]
        pair = [("QuantizeLinear", key[0], source, label)] if stored is None else []
        output = self._dequantised[key] = free(f"{name}_dequantised")
        pair.append(("DequantizeLinear", source, output, free(f"{name}_dequantise")))
        self._pairs[key] = [
            helper.make_node(operator, [read, *step], [made], node, **attributes)
            for operator, read, made, node in pair
        ]

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        free = self._names.free(name)
        self._graph.initializer.append(numpy_helper.from_array(value, free))
        return free


def _activated(node: onnx.NodeProto, readers: Mapping[str, list[onnx.NodeProto]]) -> str:
    """Return a node's output, or that of the Relu or Clip that alone reads it."""
    name: str = node.output[0]
    following = readers.get(name, [])
    alone = len(following) == 1 and following[0].op_type in _ACTIVATIONS
    return following[0].output[0] if alone and following[0].input[0] == name else name
