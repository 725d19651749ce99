"""Runs of ONNX Runtime's sessions that can be ended from another thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from edgecount.runtime.backends.calls import in_hand


@contextmanager
def run_in_hand(options: Any) -> Iterator[None]:
    """Make a run known by its `RunOptions`, through which it can be ended; see `in_hand`."""

    def stop() -> None:
        options.terminate = True

    with in_hand(stop):
        yield


def run_session(
    session: Any, outputs: Sequence[str] | None, inputs: Mapping[str, Any]
) -> list[Any]:
    """Return a session's outputs, as `InferenceSession.run` does; see `run_in_hand`."""
    from onnxruntime import RunOptions

    options = RunOptions()
    with run_in_hand(options):
        values: list[Any] = session.run(outputs, dict(inputs), options)
    return values
