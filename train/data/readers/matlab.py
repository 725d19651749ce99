"""MATLAB files, old and new."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import MissingExtraError, SourceError

_HDF5 = b"\x89HDF\r\n\x1a\n"


def load_mat(path: Path) -> dict[str, Any]:
    """Read the variables of a MATLAB file; from version 7.3 only plain arrays of numbers.

    Raises:
        OSError: the file cannot be read.
        SourceError: it is of version 7.3 and h5py is not installed.
        ValueError: it is damaged.
    """
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
        raise ValueError(f"{path.name}: {error}") from error
    return contents


def _load_hdf5(path: Path) -> dict[str, Any]:
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise SourceError(
            f"{path} is a MATLAB 7.3 file: run  pip install h5py , or save it with MATLAB's -v7"
        ) from error
    contents: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        for name, item in file.items():
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
                # MATLAB stores columns first, and of an empty array its shape.
                empty = item.attrs.get("MATLAB_empty", 0)
                contents[name] = np.zeros((0, 0)) if empty else np.asarray(item).T
    return contents


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
    numbers = array[:, :columns].astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError("expected finite coordinates")
    return numbers
