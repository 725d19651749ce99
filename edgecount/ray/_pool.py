"""How many actors count, and what each takes of a machine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

from edgecount._numbers import is_finite, is_number
from edgecount.errors import ConfigError

_SHARE = 0.5  # of a CPU, for an actor

_log = logging.getLogger(__name__)


class Pool(NamedTuple):
    """The actors of a dataset.

    Attributes:
        least: actors there are at any time.
        most: actors there are at most.
        num_cpus: CPUs of each.
    """

    least: int
    most: int
    num_cpus: float


def choose_pool(concurrency: object, num_cpus: float | None, nodes: Sequence[int]) -> Pool:
    """Choose how many actors there are, and how many CPUs each takes.

    Ray's tasks that read and write take one whole CPU of a machine. Actors hold theirs to the end:
    where no machine has one left, the tasks wait, and the actors for them. Half a CPU for each
    actor keeps most machines free for one, and none gets more than two actors for each of its CPUs.

    Args:
        concurrency: number of actors, or the least and the most; None: one for each CPU.
        num_cpus: CPUs of an actor; None: half a one, or none where that would leave no whole one.
        nodes: CPUs of each machine of the cluster.

    Raises:
        ConfigError: a number makes no sense.
    """
    nodes = [cpus for cpus in nodes if cpus]
    least, most = _range(max(1, sum(nodes)) if concurrency is None else concurrency)
    if num_cpus is None:
        # At worst the actors leave half a CPU of each machine, which holds no task.
        room = sum(2 * cpus - 1 for cpus in nodes)
        return Pool(least, most, _SHARE if most < room else 0.0)
    if not is_finite(num_cpus) or num_cpus < 0:
        raise ConfigError(f"num_cpus: expected a number, 0 or more, or None, got {num_cpus!r}")
    if nodes and most * num_cpus > sum(nodes) - 1:
        _log.warning(
            "%d actors of %g CPUs leave no whole one of %d for Ray's tasks that read and write, "
            "which may wait for ever: give them fewer, or leave num_cpus out",
            most,
            num_cpus,
            sum(nodes),
        )
    return Pool(least, most, float(num_cpus))


def _range(concurrency: object) -> tuple[int, int]:
    least, most = concurrency if isinstance(concurrency, tuple) else (concurrency, concurrency)
    if not (is_number(least, Integral) and is_number(most, Integral) and 1 <= least <= most):
        raise ConfigError(
            f"concurrency: expected a number, 1 or more, or (least, most), got {concurrency!r}"
        )
    return least, most
