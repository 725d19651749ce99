"""The errors that edgecount raises: one tree, so that one `except` can catch all of them.

    EdgeCountError
    ├── InputError (ValueError)          a frame that cannot be counted
    │   └── SourceError                  a file, folder, video or camera that cannot be read
    ├── ModelError                       a model file or manifest that is missing or wrong
    ├── BackendError                     an engine that is not available, or that failed
    ├── ConfigError (ValueError)         an option or a region that makes no sense
    ├── AccuracyError                    a converted model that counts differently
    ├── OutputError                      a result that cannot be written
    └── MissingExtraError (ImportError)  an optional package that is not installed

Every message says what was expected, what came, and what to do about it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

__all__ = [
    "AccuracyError",
    "BackendError",
    "ConfigError",
    "EdgeCountError",
    "InputError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "SourceError",
]


class EdgeCountError(Exception):
    """Base of every error that edgecount raises on purpose.

    Attributes:
        details: lines of the message after its first, of an error that is about several things;
            empty: the message is one line.
    """

    details: tuple[str, ...] = ()


class InputError(EdgeCountError, ValueError):
    """A frame has a shape, dtype or content that cannot be counted."""


class SourceError(InputError):
    """A file, folder, video, stream or camera cannot be read."""


class ModelError(EdgeCountError):
    """A model file or its manifest is missing, damaged or inconsistent."""


class BackendError(EdgeCountError):
    """An inference engine is not available, or failed while it ran."""


class ConfigError(EdgeCountError, ValueError):
    """An option or a region has a value that makes no sense."""


class AccuracyError(EdgeCountError):
    """A converted model counts differently from the one it was made from."""


class OutputError(EdgeCountError):
    """A result cannot be written where it was asked to go."""


class MissingExtraError(EdgeCountError, ImportError):
    """An optional package is not installed.

    Args:
        package: the import that failed, such as `onnxruntime`.
        extra: the extra of edgecount that brings it, such as `cpu`.
        purpose: what it is needed for, such as "to run models on the CPU".
        packages: to be installed in place of the extra, which would bring too much.
    """

    def __init__(
        self, package: str, extra: str, purpose: str, *, packages: Sequence[str] = ()
    ) -> None:
        what = " ".join(f'"{name}"' for name in packages or [f"edgecount[{extra}]"])
        super().__init__(
            f"{package} is needed {purpose} and is not installed: run  pip install {what}"
        )
        self.package = package
        self.extra = extra
        self._arguments = package, extra, purpose, tuple(packages)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how the error is made again, in another process or as a copy."""
        *arguments, packages = self._arguments
        again = functools.partial(type(self), packages=packages)
        return again, tuple(arguments), self.__dict__
