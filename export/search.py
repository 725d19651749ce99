"""Which nodes must keep their precision for the counts to stay."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecount.export.session import open_session

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
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        lower: Lower,
        nodes: Sequence[str],
        feeds: Sequence[Feed],
        threads: int | None = None,
    ) -> None:
        self._lower, self._nodes, self._feeds, self._threads = lower, set(nodes), feeds, threads
        self._true = self._run(model)

    def __call__(self, name: str) -> float:
        """Sum over outputs of the mean absolute change over the mean absolute value."""
        moved = self._run(self._lower(self._nodes - {name}))
        total = 0.0
        for true, got in zip(self._true, moved, strict=True):
            for before, after in zip(true, got, strict=True):
                scale = float(np.abs(before).mean()) or 1.0
                change = float(np.abs(after - before).mean()) / scale
                total += change if np.isfinite(change) else np.inf
        return total

    def _run(self, model: onnx.ModelProto) -> list[list[NDArray[np.float32]]]:
        session = open_session(model, self._threads)
        return [session.run(None, dict(feed)) for feed in self._feeds]


def overflowing(
    model: onnx.ModelProto, largest: Mapping[str, float], limit: float
) -> dict[str, float]:
    """Nodes that make, read or hold a value beyond ``limit``, with that value.

    Args:
        model: as :func:`edgecount.export.graph.tidy` leaves it.
        largest: tensor to the largest magnitude seen on real images.
        limit: of the precision.
    """
    from edgecount.export.graph import weights

    sizes = dict(largest)
    for name, value in weights(model).items():
        if value.dtype == np.float32 and value.size:
            finite = np.abs(value[np.isfinite(value)])
            sizes[name] = float(finite.max(initial=0))
    found = {}
    for node in model.graph.node:
        worst = max((sizes.get(name, 0.0) for name in (*node.input, *node.output)), default=0.0)
        if not worst <= limit:
            found[node.name] = worst
    return found
