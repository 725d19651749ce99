"""Failures of CUDA as errors of edgecount."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgecount.errors import BackendError

if TYPE_CHECKING:
    pass

__all__ = ["gpu_failures"]


@contextmanager
def gpu_failures() -> Iterator[None]:
    """What CUDA reports of work in a stream, as an error of ours.

    Raises:
        BackendError: in place of a RuntimeError of `edgecount._ext`.
    """
    try:
        yield
    except RuntimeError as error:
        raise BackendError(f"the GPU failed: {error}") from error
