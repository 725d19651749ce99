"""The compiled module that the GPU benchmarks run.

It is edgecount's own, unless EDGECOUNT_EXT names another build of it, such as one that emulates the
GPU to try the benchmarks' code: what that one measures means nothing.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

if os.environ.get("EDGECOUNT_EXT"):
    _spec = importlib.util.spec_from_file_location("edgecount._ext", os.environ["EDGECOUNT_EXT"])
    assert _spec
    assert _spec.loader
    # Before anything of edgecount is imported, so that all of it gets this module.
    sys.modules["edgecount._ext"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["edgecount._ext"])

from edgecount import _ext
from edgecount.runtime.cuda.driver import ask_driver, why_no_gpu

EMULATED = hasattr(ctypes.CDLL(_ext.__file__), "cuInit")  # then it brings its own driver

__all__ = ["EMULATED", "_ext", "require_gpu", "to_gpu"]


def require_gpu() -> str:
    """Return the GPU's name; without one leave with one line and exit code 1."""
    if EMULATED:
        return f"none: emulated on {platform.machine()}"
    answer, reason = ask_driver(), why_no_gpu()
    if isinstance(answer, str) or reason is not None:
        sys.exit(f"no GPU to measure: {reason}")
    return answer.devices[0].name


def to_gpu(array: NDArray[Any]) -> _ext.DeviceArray:
    """Return a copy of an array on the GPU."""
    stream = _ext.Stream()
    target = _ext.DeviceBuffer(array.nbytes).array(array.shape, array.dtype.name)
    stream.upload(target, np.ascontiguousarray(array))
    stream.synchronize()
    return target
