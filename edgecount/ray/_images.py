"""Images as an actor of Ray gets them: by their names, or as what a batch holds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount.archive.images import Images
from edgecount.errors import ConfigError, InputError, SourceError
from edgecount.ray._stores import Stores

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyarrow.fs import FileSystem

_USED = ("path", "bytes", "image")  # columns
_EXPECTED = (
    "expected a batch with the columns path and bytes, as of "
    "ray.data.read_binary_files(..., include_paths=True), path and image, as of "
    "ray.data.read_images(..., include_paths=True), or path alone"
)


class GivenImages(Images):
    """Images whose names, paths or URLs, are known to whoever has them counted.

    Args:
        base: the folder that paths are relative to; None: the working directory.
    """

    def __init__(self, base: str | None = None) -> None:
        self._base = os.getcwd() if base is None else base  # noqa: PTH109
        self.origin = "images by their paths"

    def names(self) -> Iterator[str]:
        """Yield nothing: see the class."""
        return iter(())

    def path(self, name: str) -> str:
        """Return the path or URL of an image."""
        # Not a Path, which would change the key of an object with // in it.
        return name if "://" in name else os.path.join(self._base, name)  # noqa: PTH118

    def check(self) -> None:
        """Do nothing: the images have no place in common."""


class StoredImages(Images):
    """Images some of which may lie in object stores.

    Args:
        images: the images by their names.
        filesystem: see `Stores`.
        folder: URL of the folder in a store that all of them lie in; None: there is none.
    """

    def __init__(
        self, images: Images, filesystem: FileSystem | None = None, folder: str | None = None
    ) -> None:
        self.origin = images.origin
        self._images, self._stores, self._folder = images, Stores(filesystem), folder

    def names(self) -> Iterator[str]:
        """Yield the names of the images; see `Images.names`."""
        return self._images.names()

    def path(self, name: str) -> str:
        """Return the path or URL of an image."""
        return self._images.path(name)

    def read(self, name: str) -> bytes | NDArray[Any]:
        """Return the content of an image; see `Images.read`."""
        if not name:
            raise InputError("there is no path in this row")
        path = self.path(name)
        return self._stores.read(path) if self._stores.hold(path) else self._images.read(name)

    def check(self) -> None:
        """Check that the archive is still there; see `Images.check`."""
        self._images.check()
        if self._folder is not None:
            self._stores.check(self._folder)


class BatchImages(Images):
    """Images that a batch brings along; they are named by their numbers in it.

    Args:
        paths: where each image comes from.
        values: of each the content of its file, or its RGB pixels.
    """

    origin = "a batch of Ray Data"

    def __init__(self, paths: Sequence[str], values: Sequence[Any]) -> None:
        self._paths, self._values = paths, values

    def names(self) -> Iterator[str]:
        """Yield the numbers of the images."""
        return map(str, range(len(self._paths)))

    def path(self, name: str) -> str:
        """Return where an image comes from."""
        return self._paths[int(name)]

    def read(self, name: str) -> bytes | NDArray[Any]:
        """Return the content or the pixels of an image; see `Images.read`."""
        value = self._values[int(name)]
        if hasattr(value, "to_numpy"):  # a tensor in one of pandas' frames
            value = value.to_numpy()
        if isinstance(value, np.ndarray):
            return _as_bgr_order(value)
        if _is_null(value):
            raise InputError(f"{self.path(name)}: there is no image in this row")
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise InputError(
                f"{self.path(name)}: expected the content of a file in bytes, or pixels in an "
                f"array, got a value of type {type(value).__name__}"
            )
        if not value:
            raise SourceError(f"{self.path(name)} is empty (0 bytes)")
        return bytes(value)

    def check(self) -> None:
        """Do nothing: the batch is here."""


def open_batch(batch: Any, images: Images) -> tuple[Images, list[str], list[str]]:
    """Return the images of a batch of Ray Data, their names, and the names for their rows.

    Args:
        batch: columns by their names, a table of Arrow, or a frame of pandas.
        images: what reads the images of a batch that has paths alone.

    Raises:
        ConfigError: the batch has other columns.
    """
    is_table = hasattr(batch, "column_names")  # of Arrow
    names = [str(name) for name in (batch.column_names if is_table else batch)]
    if "path" not in names:
        raise ConfigError(f"{_EXPECTED}; got {', '.join(sorted(names)) or 'no column'}")
    # Those of pandas by the rows' order, whatever their index.
    columns = {
        name: batch[name].to_pylist() if is_table else _listed(batch[name])
        for name in names
        if name in _USED
    }
    values = columns.get("bytes", columns.get("image"))
    paths = [_path(value) for value in columns["path"]]
    if values is None:
        return images, paths, paths
    inside = BatchImages(paths, values)
    return inside, list(inside.names()), paths


def _listed(column: Any) -> Any:
    return column if isinstance(column, np.ndarray) else list(column)


def _path(value: Any) -> str:
    """Return a path as text; nothing of a null.

    Raises:
        ConfigError: it is no path.
    """
    if _is_null(value):
        return ""
    try:
        return os.fsdecode(value)
    except TypeError:
        raise ConfigError(
            f"path: expected paths or URLs as texts, got a value of type {type(value).__name__}"
        ) from None


def _is_null(value: Any) -> bool:
    """Return whether a value is none, as Arrow, NumPy and pandas write it."""
    is_nan = isinstance(value, float) and value != value  # noqa: PLR0124 (NumPy's and pandas')
    return value is None or is_nan or type(value).__name__ == "NAType"


def _as_bgr_order(image: NDArray[Any]) -> NDArray[Any]:
    """Return RGB pixels in the order BGR, without alpha; others as they are."""
    return image[:, :, 2::-1] if image.ndim == 3 and image.shape[2] in (3, 4) else image
