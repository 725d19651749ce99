"""Failures of CUDA as errors of edgecount."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgecount.errors import BackendError


@contextmanager
def gpu_failures(name: str = "the GPU") -> Iterator[None]:
    """Raise BackendError in place of the RuntimeError that `edgecount._ext` raises for CUDA.

    Args:
        name: who failed, at the beginning of the message.
    """
    try:
        yield
    except RuntimeError as error:
        raise BackendError(f"{name} failed: {error}") from error
