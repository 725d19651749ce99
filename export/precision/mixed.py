"""Find the nodes of an INT8 graph whose float side cannot be float16.

A QuantizeLinear and its DequantizeLinear belong together: one tensor in INT8, with one scale in one
precision.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgecount.export.graph.queries import consumers, producers, weights
from edgecount.export.precision.fp16 import LARGEST, MIN_SCALE, SMALLEST
from edgecount.export.precision.sensitivity import overflowing

if TYPE_CHECKING:
    import onnx

PAIR = ("QuantizeLinear", "DequantizeLinear")


class Pairs:
    """The QDQ pairs of a graph of :func:`edgecount.export.precision.int8.to_int8`."""

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
        """Return the nodes that float16 cannot compute, with the reason.

        Args:
            largest: tensor of the float32 graph to its largest magnitude on real images.
            headroom: how many times that value float16 must reach.
        """
        seen = dict(largest)
        for quantise, dequantise in self._pairs:
            source = quantise.input[0]
            stored = np.abs(self._weights.get(source, np.zeros(1))).max(initial=0)
            seen[dequantise.output[0]] = max(largest.get(source, 0.0), float(stored))
        found = overflowing(self._model, seen, LARGEST / headroom, SMALLEST)
        for quantise, dequantise in self._pairs:
            if np.asarray(self._weights[quantise.input[1]]).max(initial=0) < MIN_SCALE:
                # A tensor so small in all its channels loses its last bits as float16, too.
                for node in (quantise, dequantise, *self._readers.get(dequantise.output[0], ())):
                    found.setdefault(node.name, f"an INT8 scale below {MIN_SCALE:.1g}")
        for quantise, dequantise in self._pairs:
            names = {quantise.name, dequantise.name}
            for name in names & found.keys():
                found |= dict.fromkeys(names - found.keys(), found[name])
        return found

    def closed(self, keep: Collection[str]) -> set[str]:
        """Add the pairs that only these nodes read: a cast would part them from their tensor."""
        kept = set(keep)
        for quantise, dequantise in self._pairs:
            readers = {node.name for node in self._readers.get(dequantise.output[0], ())}
            if (readers and readers <= kept) or {quantise.name, dequantise.name} & kept:
                kept |= {quantise.name, dequantise.name}
        return kept

    def computing(self) -> list[str]:
        """Return the names of the other nodes, in order."""
        return [node.name for node in self._model.graph.node if node.op_type not in PAIR]
