"""Which nodes must keep their precision for the counts to stay."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecount.export.graph.session import open_session
from edgecount.export.precision.fp16 import rounding

if TYPE_CHECKING:
    import onnx

Feed = Mapping[str, NDArray[np.float32]]
Lower = Callable[[Collection[str]], "onnx.ModelProto"]


def find_kept(
    lower: Lower,
    nodes: Sequence[str],
    always: Collection[str],
    damage: Callable[[str], float],
    accept: Callable[[onnx.ModelProto], bool],
) -> tuple[str, ...] | None:
    """The fewest nodes to keep, by the damage that each does alone, until a model is accepted.

    More and more of the worst are kept, doubling, and then as few as still pass. Damage adds up
    only roughly, so what is found is few, not proven to be the fewest.

    Args:
        lower: makes the model that keeps these nodes in float32.
        nodes: what may be lowered.
        always: nodes that are kept in any case.
        damage: of one node lowered alone.
        accept: whether a model counts well enough.

    Returns:
        The nodes to keep besides ``always``; None if keeping half of all does not help either.
    """
    if accept(lower(always)):
        return ()
    free = [name for name in nodes if name not in always]
    ranked = sorted(free, key=damage, reverse=True)
    limit = -(-len(ranked) // 2)
    few, many = 0, 1
    while not accept(lower({*always, *ranked[:many]})):
        if many >= limit:
            return None
        few, many = many, min(2 * many, limit)
    while many - few > 1:
        middle = (few + many) // 2
        if accept(lower({*always, *ranked[:middle]})):
            many = middle
        else:
            few = middle
    return tuple(ranked[:many])


class Damage:
    """How far the outputs move when one node is lowered alone.

    Args:
        model: the float32 model.
        lower: see :func:`find_kept`.
        nodes: what may be lowered.
        feeds: a few inputs.
        threads: of ONNX Runtime.
        way: how a graph is run, see :data:`edgecount.export.precision.convert.Way`.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        lower: Lower,
        nodes: Sequence[str],
        feeds: Sequence[Feed],
        threads: int | None = None,
        way: str = "as used",
    ) -> None:
        self._lower, self._nodes, self._feeds, self._threads = lower, set(nodes), feeds, threads
        self._way = way
        self._model = model

    @functools.cached_property
    def _true(self) -> list[list[NDArray[np.float32]]]:
        return self._run(self._model)

    def __call__(self, name: str) -> float:
        """Sum over outputs of the mean absolute change over the mean absolute value."""
        lowered = self._lower(self._nodes - {name})
        moved = self._run(rounding(lowered) if self._way == "rounding" else lowered)
        total = 0.0
        for true, got in zip(self._true, moved, strict=True):
            for before, after in zip(true, got, strict=True):
                scale = float(np.abs(before).mean()) or 1.0
                change = float(np.abs(after - before).mean()) / scale
                total += change if np.isfinite(change) else np.inf
        return total

    def _run(self, model: onnx.ModelProto) -> list[list[NDArray[np.float32]]]:
        session = open_session(model, self._threads, fuse_bytes=self._way == "as used")
        return [session.run(None, dict(feed)) for feed in self._feeds]


def overflowing(
    model: onnx.ModelProto, largest: Mapping[str, float], limit: float, least: float
) -> dict[str, str]:
    """Nodes that a narrower type cannot compute, with the reason.

    They make, read or hold a value beyond ``limit``, or a constant that would vanish, as the one
    that keeps a division from 0.

    Args:
        model: as :func:`edgecount.export.graph.queries.tidy` leaves it.
        largest: tensor to the largest magnitude seen on real images.
        limit: the type's largest value.
        least: the type's smallest value above 0.
    """
    from edgecount.export.graph.queries import weights

    stored = {
        name: float(np.abs(value[np.isfinite(value)]).max(initial=0))
        for name, value in weights(model).items()
        if value.dtype == np.float32
    }
    single = {
        name: abs(float(value.reshape(-1)[0]))
        for name, value in weights(model).items()
        if value.dtype == np.float32 and value.size == 1
    }
    found = {}
    for node in model.graph.node:
        # A bound of Clip may lie anywhere: what is cut is what the tensors hold.
        held = [stored[name] for name in node.input if name in stored and node.op_type != "Clip"]
        seen = [largest.get(name, 0.0) for name in (*node.input, *node.output)]
        worst = max([0.0, *held, *seen])
        if not worst <= limit:
            found[node.name] = f"values up to {worst:.3g}, the type ends at {limit:g}"
        elif any(0 < single.get(name, 1.0) < least for name in node.input):
            found[node.name] = f"a constant below {least:.1g}, which would be 0"
    return found
