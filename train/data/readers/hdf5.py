"""MATLAB 7.3 files, which are HDF5, nested as SciPy nests those of older versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

_DEEPEST = 20  # cells in cells: references of a damaged file may go in circles


def load_hdf5(path: Path) -> dict[str, Any]:
    """Read numbers, cells and structs; functions, tables and objects are left out.

    Raises:
        OSError, ValueError, KeyError, RuntimeError: the file is damaged.
    """
    with h5py.File(path, "r") as file:
        # Names with a # are MATLAB's own, such as what cells refer to.
        return {name: _value(file, item, 0) for name, item in file.items() if name[0] != "#"}


def _value(file: Any, item: Any, depth: int) -> NDArray[Any]:
    if depth > _DEEPEST:
        raise ValueError(f"cells are nested more than {_DEEPEST} deep")
    if isinstance(item, h5py.Group):
        return _struct(file, item, depth)
    if item.attrs.get("MATLAB_empty", 0):
        # MATLAB stores of an empty array its shape.
        return np.zeros((0, 0))
    array: NDArray[Any] = np.asarray(item).T  # MATLAB stores columns first
    if h5py.check_ref_dtype(item.dtype) is None:
        return array
    cells = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        cells[place] = _value(file, file[array[place]], depth + 1)
    return cells


def _struct(file: Any, group: Any, depth: int) -> NDArray[Any]:
    """Return a structured array: (1, 1), or (n, m) of a group whose fields are references."""
    fields = {name: _value(file, item, depth + 1) for name, item in group.items()}
    # Of several structs each field is a bare table of references; cells have a class of their own.
    several = all(
        isinstance(item, h5py.Dataset)
        and h5py.check_ref_dtype(item.dtype) is not None
        and "MATLAB_class" not in item.attrs
        for item in group.values()
    )
    shape = next(iter(fields.values())).shape if several and fields else (1, 1)
    out = np.empty(shape, [(name, object) for name in fields])
    for name, value in fields.items():
        for place in np.ndindex(shape):
            out[name][place] = value[place] if several else value
    return out
