"""MATLAB files, old and new."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import MissingExtraError, SourceError

_MOST_COLUMNS = 8  # of the sets that are read here none has more
_HDF5 = b"\x89HDF\r\n\x1a\n"


def load_mat(path: Path) -> dict[str, Any]:
    """Read the variables of a MATLAB file: numbers, cells and structs, as SciPy nests them.

    Raises:
        OSError: the file cannot be read.
        SourceError: it is no regular file, or of version 7.3 and h5py is not installed.
        ValueError: it is damaged.
    """
    if path.exists() and not path.is_file():
        raise SourceError(f"{path} is not a regular file")
    with path.open("rb") as file:
        # A 7.3 file is HDF5 behind a MATLAB header of 512 bytes.
        head = file.read(520)
    if head.startswith(_HDF5) or head[512:] == _HDF5:
        return _load_hdf5(path)
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingExtraError("scipy", "train", "to read MATLAB files") from error
    try:
        contents: dict[str, Any] = loadmat(path)
    except Exception as error:  # a damaged file raises whatever its parser stumbled over
        raise ValueError(f"damaged, or not a MATLAB file: {error}") from error
    return contents


def _load_hdf5(path: Path) -> dict[str, Any]:
    try:
        importlib.import_module("h5py")
    except ImportError as error:
        raise SourceError(
            f"{path} is a MATLAB 7.3 file: run  pip install h5py , or save it with MATLAB's -v7"
        ) from error
    from edgecount.train.data.readers.hdf5 import load_hdf5

    try:
        return load_hdf5(path)
    except Exception as error:  # HDF5's library raises whatever it stumbled over
        raise ValueError(
            f"damaged, or a MATLAB 7.3 file of another kind: {error}: save it with MATLAB's -v7"
        ) from error


def field_of(struct: Any, name: str) -> Any:
    """Return a field of a 1 x 1 struct, or its first where the fields have other names."""
    one = struct[0, 0]
    return one[name] if name in (one.dtype.names or ()) else one[0]


def columns_of(value: Any, columns: int = 2) -> NDArray[np.float32]:
    """Return (N, columns) float32 of an array with at least as many columns, or of an empty one.

    Raises:
        ValueError: it is something else, or not finite.
    """
    array = np.asarray(value)
    if array.size == 0:
        return np.zeros((0, columns), np.float32)
    if array.dtype.kind not in "biuf" or array.ndim != 2 or array.shape[1] < columns:
        raise ValueError(
            f"expected N x {columns} numbers, got shape {array.shape} of {array.dtype}"
        )
    lies = array.shape[0] == columns and array.shape[1] > 2 * columns
    if array.shape[1] > _MOST_COLUMNS or lies:
        raise ValueError(
            f"expected N x {columns} numbers, got {array.shape[0]} x {array.shape[1]}: are rows "
            "and columns exchanged?"
        )
    numbers = array[:, :columns].astype(np.float64)
    if not np.isfinite(numbers).all() or (np.abs(numbers) > np.finfo(np.float32).max).any():
        raise ValueError("expected finite coordinates")
    return numbers.astype(np.float32)
