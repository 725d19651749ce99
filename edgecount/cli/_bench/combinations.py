"""The ways to run models that `edgecount bench` compares."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.counter import EdgeCounter


class Combination(NamedTuple):
    """A model, and the backend and the precision that it is asked to run with."""

    model: str
    backend: str
    precision: str


@dataclass(frozen=True)
class Opened:
    """A combination that runs.

    Attributes:
        asked: the combination.
        counter: a counter that has counted a frame.
        memory: bytes that it took, of this machine and of the GPU; None: not known.
    """

    asked: Combination
    counter: EdgeCounter
    memory: dict[str, int | None]


class Refused(NamedTuple):
    """A combination that does not run, and the reason."""

    asked: Combination
    reason: str


def combinations(
    models: Sequence[str], backends: Sequence[str], precisions: Sequence[str]
) -> Iterator[Combination]:
    """Yield every combination once, those of a model together."""
    for model, backend, precision in itertools.product(models, backends, precisions):
        yield Combination(model, backend, precision)


def open_all(
    stack: ExitStack,
    asked: Sequence[Combination],
    frame: NDArray[Any],
    options: dict[str, Any],
) -> tuple[list[Opened], list[Refused]]:
    """Open the combinations that run, each with a frame counted; return the others with reasons.

    Args:
        stack: closes the counters.
        asked: the combinations.
        frame: the frame to count.
        options: further options of every counter.

    Raises:
        ConfigError: an option makes no sense, whatever runs.
        EdgeCountError: none runs; the error of the first.
    """
    from edgecount._options import check_backend
    from edgecount.errors import ConfigError, EdgeCountError

    for name in dict.fromkeys(one.backend for one in asked):
        check_backend(name)
    opened: list[Opened] = []
    refused: list[Refused] = []
    first: EdgeCountError | None = None
    warmed: set[str] = set()
    for one in asked:
        try:
            opened.append(_open(stack, one, frame, options, warmed))
        except ConfigError:  # noqa: PERF203 (opening an engine takes far longer)
            raise
        except EdgeCountError as error:
            first = first or error
            refused.append(Refused(one, str(error)))
    if first is not None and not opened:
        raise first
    return opened, refused


def _open(
    stack: ExitStack,
    asked: Combination,
    frame: NDArray[Any],
    options: dict[str, Any],
    warmed: set[str],
) -> Opened:
    """Open a combination and count a frame with it.

    The first of a backend is opened twice, so that it does not pay for shared libraries.
    """
    from edgecount._memory import free_unused

    opened = _measured(asked, frame, options)
    name = opened.counter.backend.name
    if name not in warmed:
        warmed.add(name)
        opened.counter.close()
        del opened
        free_unused()
        opened = _measured(asked, frame, options)
    stack.enter_context(opened.counter)
    return opened


def _measured(asked: Combination, frame: NDArray[Any], options: dict[str, Any]) -> Opened:
    from edgecount._memory import resident_bytes
    from edgecount.counter import EdgeCounter

    def growth(before: int | None, after: int | None) -> int | None:
        return None if before is None or after is None else max(after - before, 0)

    device = options.get("device")
    before, gpu_before = resident_bytes(), _gpu_bytes(device)
    counter = EdgeCounter(asked.model, backend=asked.backend, precision=asked.precision, **options)
    try:
        counter.count(frame)
    except BaseException:
        counter.close()
        raise
    on_gpu = counter.backend.device.startswith("cuda")
    memory = {
        "memory_bytes": growth(before, resident_bytes()),
        "gpu_memory_bytes": growth(gpu_before, _gpu_bytes(device)) if on_gpu else None,
    }
    return Opened(asked, counter, memory)


def _gpu_bytes(device: int | Sequence[int] | None) -> int | None:
    """Return the bytes in use on all GPUs that a counter is asked to use; None: not known."""
    from edgecount._latency import gpu_bytes

    numbers = device if isinstance(device, Sequence) else (device or 0,)
    used = [found for number in numbers if (found := gpu_bytes(number)) is not None]
    return sum(used) if used else None
