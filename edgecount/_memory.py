"""The process's memory: how much it takes, and giving back what nothing uses."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

_M_ARENA_MAX = -8  # option of glibc's mallopt (malloc.h)


def use_few_arenas() -> None:
    """Have all threads share two pools of memory, where the C library is glibc.

    It gives each thread one of its own otherwise, up to eight for each core. With threads that come
    and go each of them is in pieces after some hours, and takes more than is in use.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def free_unused() -> None:
    """Give memory that nothing uses back to the system, where the C library can."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # musl, macOS and Windows know no such call
        ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int | None:
    """Return the bytes of RAM that this process takes; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
