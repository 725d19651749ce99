"""The compiled module that the GPU benchmarks run.

It is edgecount's own, unless EDGECOUNT_EXT names another build of it, such as one that runs the
kernels without a GPU to try the benchmarks' code: what that one measures means nothing.
"""

import ctypes
import importlib.util
import os
import sys

import edgecount

if os.environ.get("EDGECOUNT_EXT"):
    _spec = importlib.util.spec_from_file_location("edgecount._ext", os.environ["EDGECOUNT_EXT"])
    assert _spec
    assert _spec.loader
    # Before anything else of edgecount is imported, so that all of it gets this module.
    edgecount._ext = sys.modules["edgecount._ext"] = importlib.util.module_from_spec(_spec)  # type: ignore[attr-defined]
    _spec.loader.exec_module(edgecount._ext)

from edgecount import _ext
from edgecount.runtime.cuda.driver import why_no_gpu

EMULATED = hasattr(ctypes.CDLL(_ext.__file__), "cuInit")  # then it brings its own driver

__all__ = ["EMULATED", "NotHereError", "_ext", "require_gpu"]


class NotHereError(Exception):
    """Something cannot be measured on this machine."""


def require_gpu() -> None:
    """Leave with one line and exit code 1 where there is no GPU to measure."""
    reason = None if EMULATED else why_no_gpu()
    if reason is not None:
        sys.exit(f"no GPU to measure: {reason}")
