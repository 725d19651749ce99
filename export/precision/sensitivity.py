"""Find the nodes that must keep their precision for the counts to stay."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecount.export.graph.queries import weights
from edgecount.export.graph.session import open_session
from edgecount.export.precision.fp16 import emulated
from edgecount.runtime.backends.onnxruntime.calls import run_session

if TYPE_CHECKING:
    import onnx

Feed = Mapping[str, NDArray[np.float32]]
Convert = Callable[[Collection[str]], "onnx.ModelProto"]


def find_kept(
    convert: Convert,
    nodes: Sequence[str],
    required: Collection[str],
    sensitivity: Callable[[str], float],
    is_enough: Callable[[onnx.ModelProto], bool],
) -> tuple[str, ...] | None:
    """Return the fewest nodes to keep, by their sensitivity, for a model to count well enough.

    More and more of the most sensitive are kept, doubling, and then as few as still pass.
    Sensitivities add up only roughly, so that the nodes found are few, and not surely the fewest.

    Args:
        convert: makes the model that keeps these nodes in float32.
        nodes: names of the nodes that can be converted.
        required: nodes that are kept in any case.
        sensitivity: returns how far the outputs move when one node is converted alone.
        is_enough: whether a model counts well enough for the search to end.

    Returns:
        The nodes to keep besides ``required``; None if keeping half of all does not help either.
    """
    if is_enough(convert(required)):
        return ()
    free = [name for name in nodes if name not in required]
    ranked = sorted(free, key=sensitivity, reverse=True)
    limit = -(-len(ranked) // 2)
    few, many = 0, 1
    while not is_enough(convert({*required, *ranked[:many]})):
        if many >= limit:
            return None
        few, many = many, min(2 * many, limit)
    while many - few > 1:
        middle = (few + many) // 2
        if is_enough(convert({*required, *ranked[:middle]})):
            many = middle
        else:
            few = middle
    return tuple(ranked[:many])


class Sensitivity:
    """How far a model's outputs on a few inputs move when one node is converted alone.

    Its graphs are run as :data:`edgecount.export.precision.trial.ExecutionMode` says.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        convert: Convert,
        nodes: Sequence[str],
        feeds: Sequence[Feed],
        threads: int | None = None,
        mode: str = "as used",
    ) -> None:
        self._model, self._convert, self._nodes = model, convert, set(nodes)
        self._feeds, self._threads, self._mode = feeds, threads, mode

    @functools.cached_property
    def _true(self) -> list[list[NDArray[np.float32]]]:
        return self._run(self._model)

    def __call__(self, name: str) -> float:
        """Return the sum over outputs of mean absolute change over mean absolute value."""
        converted = self._convert(self._nodes - {name})
        moved = self._run(emulated(converted) if self._mode == "rounding" else converted)
        total = 0.0
        for true, got in zip(self._true, moved, strict=True):
            for before, after in zip(true, got, strict=True):
                scale = float(np.abs(before).mean()) or 1.0
                change = float(np.abs(after - before).mean()) / scale
                total += change if np.isfinite(change) else np.inf
        return total

    def _run(self, model: onnx.ModelProto) -> list[list[NDArray[np.float32]]]:
        session = open_session(model, self._threads, fuse=self._mode == "as used")
        return [run_session(session, None, feed) for feed in self._feeds]


def overflowing(
    model: onnx.ModelProto, largest: Mapping[str, float], limit: float, smallest: float
) -> dict[str, str]:
    """Return the nodes that a smaller float type cannot compute, with the reason.

    They make, read or hold a value beyond ``limit``, or a constant that would vanish, as the one
    that keeps a division from 0.

    Args:
        model: as :func:`edgecount.export.graph.queries.tidy` leaves it.
        largest: tensor to the largest magnitude seen on real images.
        limit: the type's largest value.
        smallest: the type's smallest value above 0.
    """
    fixed = {name: w for name, w in weights(model).items() if w.dtype == np.float32}
    stored = {name: float(np.abs(w[np.isfinite(w)]).max(initial=0)) for name, w in fixed.items()}
    single = {name: abs(float(w.reshape(-1)[0])) for name, w in fixed.items() if w.size == 1}
    found = {}
    for node in model.graph.node:
        # A bound of Clip may lie anywhere: what is cut is what the tensors hold.
        held = [stored[name] for name in node.input if name in stored and node.op_type != "Clip"]
        seen = [largest.get(name, 0.0) for name in (*node.input, *node.output)]
        worst = max([0.0, *held, *seen])
        if not worst <= limit:
            found[node.name] = f"values up to {worst:.3g}, the type ends at {limit:g}"
        elif any(0 < single.get(name, 1.0) < smallest for name in node.input):
            found[node.name] = f"a constant below {smallest:.1g}, which would be 0"
    return found
