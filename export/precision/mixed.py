"""Which nodes of an INT8 graph cannot compute in float16 besides.

A QuantizeLinear and its DequantizeLinear are one thing: a tensor in bytes, with one scale in one
precision.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecount.export.graph.queries import consumers, producers, weights
from edgecount.export.precision.fp16 import LARGEST, LEAST_STEP, SMALLEST
from edgecount.export.precision.sensitivity import overflowing

if TYPE_CHECKING:
    import onnx

PAIR = ("QuantizeLinear", "DequantizeLinear")


class Pairs:
    """The quantized tensors of a graph of :func:`edgecount.export.precision.int8.to_int8`.

    Args:
        model: the graph.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._weights = weights(model)
        self._readers = consumers(model)
        makers = producers(model)
        self._pairs = [
            (makers[node.input[0]], node)
            for node in model.graph.node
            if node.op_type == "DequantizeLinear"
        ]

    def overflowing(self, largest: Mapping[str, float], headroom: float) -> dict[str, str]:
        """Nodes that float16 cannot compute, with the reason.

        Args:
            largest: tensor of the float32 graph to the largest magnitude seen on real images.
            headroom: how far beyond that the type must reach.
        """
        seen = dict(largest)
        for quantise, dequantise in self._pairs:
            source = quantise.input[0]
            stored = np.abs(self._weights.get(source, np.zeros(1))).max(initial=0)
            seen[dequantise.output[0]] = max(largest.get(source, 0.0), float(stored))
        found = overflowing(self._model, seen, LARGEST / headroom, SMALLEST)
        for quantise, dequantise in self._pairs:
            if self._scale(quantise).max(initial=0) < LEAST_STEP:
                # What is so small in all its channels loses its last bits as a float16, too.
                for node in (quantise, dequantise, *self._readers.get(dequantise.output[0], ())):
                    found.setdefault(node.name, f"bytes of steps below {LEAST_STEP:.1g}")
        for names in self._names():
            for name in names & found.keys():
                found |= dict.fromkeys(names - found.keys(), found[name])
        return found

    def closed(self, keep: Collection[str]) -> set[str]:
        """The nodes, and the pairs that only they read: a cast would part them from their bytes."""
        kept = set(keep)
        for quantise, dequantise in self._pairs:
            readers = {node.name for node in self._readers.get(dequantise.output[0], ())}
            if (readers and readers <= kept) or {quantise.name, dequantise.name} & kept:
                kept |= {quantise.name, dequantise.name}
        return kept

    def computing(self) -> list[str]:
        """Names of the other nodes, in order."""
        return [node.name for node in self._model.graph.node if node.op_type not in PAIR]

    def _names(self) -> list[set[str]]:
        return [{quantise.name, dequantise.name} for quantise, dequantise in self._pairs]

    def _scale(self, node: onnx.NodeProto) -> NDArray[np.generic]:
        return np.asarray(self._weights[node.input[1]])
