"""Imports that need an extra of the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgecount._opencv import load_cv2
from edgecount.errors import MissingExtraError


@contextmanager
def needs_train(purpose: str) -> Iterator[None]:
    """Turn a failed import into an error that names the extra `train`, and the purpose of it.

    Raises:
        MissingExtraError: an import failed.
        EdgeCountError: OpenCV cannot be loaded.
    """
    load_cv2()  # which is no part of the extra
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(str(error.name), "train", purpose) from error
