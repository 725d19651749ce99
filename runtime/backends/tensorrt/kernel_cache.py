"""Kernels that TensorRT for RTX compiled, kept on the disk for the next process.

A plan of TensorRT for RTX holds no machine code: its kernels are compiled where they run, for each
shape anew, which takes seconds. What was compiled lies beside the engine, or in the user's cache if
that folder cannot be written. Whatever is wrong with the file costs time, and never a count.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecount.runtime.backends.kept import KeptFiles, age, user_cache, write_first

_log = logging.getLogger(__name__)

_MAGIC = b"edgecount runtime cache 1\n"
# Photos of many sizes bring new kernels with every frame, and the file grows with them.
_PAUSE = 10.0  # seconds between two writes


class KernelCache:
    """The compiled kernels of one engine, shared by its contexts and safe for several threads.

    Args:
        plan: the engine's file.
        key: all that the kernels depend on: hash of the plan, TensorRT, GPU, driver. A file that
            was written for another key is not used, and is replaced.
    """

    def __init__(self, plan: Path, key: Mapping[str, str]) -> None:
        self._places = [path for path in (cache_path(plan), _cache_of_user(plan)) if path]
        self._plan, self._version = plan, _version_of(plan)
        self._files = KeptFiles(_MAGIC, key, _log)
        self._lock = threading.Lock()
        self._cache: Any = None
        self._saved = ""
        self._next = 0.0
        self._logged = False

    def attach(self, config: Any) -> None:
        """Give a runtime configuration the kernels, before a context is made with it."""
        with self._lock:
            # One cache for all contexts: what one has compiled the others find.
            cache = self._cache or self._load(config)
            if cache is not None and config.set_runtime_cache(cache):
                # Contexts that were made with it need it for as long as they live.
                self._cache = cache
            else:
                self._log_once(
                    "TensorRT takes no cache of kernels, and compiles them in each process"
                )

    def save(self, *, last: bool = False) -> None:
        """Write new kernels to the disk; unless it is the last time, not again within moments."""
        with self._lock:
            if self._cache is None or (time.monotonic() < self._next and not last):
                return
            found = self._cache.serialize()
            kernels = b"" if found is None else bytes(found)
            digest = hashlib.sha256(kernels).hexdigest()
            if kernels and digest != self._saved and self._write(self._files.packed(kernels)):
                self._saved = digest
            self._next = time.monotonic() + _PAUSE

    def _load(self, config: Any) -> Any:
        """Create a cache, filled with the newest kernels on the disk that fit."""
        cache = config.create_runtime_cache()
        for path in sorted(self._places, key=age):
            kernels = self._files.read(path)
            if cache is None or kernels is None:
                continue
            # TensorRT compares the GPU and the driver once more, and refuses without a change.
            if cache.deserialize(kernels):
                self._saved = hashlib.sha256(kernels).hexdigest()
                break
            _log.info("%s is not used: TensorRT refuses it; it is replaced", path)
        return cache

    def _write(self, data: bytes) -> bool:
        """Write the file, and return whether that worked."""
        if _version_of(self._plan) != self._version:
            return False  # the file is another engine by now, whose kernels must not be replaced
        problem = write_first(self._places, data)
        if problem is not None:
            self._log_once(f"compiled kernels are not kept for the next process: {problem}")
        return problem is None

    def _log_once(self, line: str) -> None:
        if not self._logged:
            _log.info("%s", line)
        self._logged = True


def cache_path(plan: Path) -> Path:
    """Return the file of an engine's kernels: beside it, its name with .runtime-cache added."""
    return plan.with_name(f"{plan.name}.runtime-cache")


def _cache_of_user(plan: Path) -> Path | None:
    """Return the file to use where the engine's folder cannot be written; None without a home."""
    folder = user_cache()
    try:
        where = hashlib.sha256(str(plan.resolve()).encode()).hexdigest()[:16]
    except (OSError, RuntimeError):
        return None
    if folder is None:
        return None
    # By its place and not by its content: one file for each engine, however often it is rebuilt.
    name = cache_path(plan)
    return folder / f"{name.stem}-{where}{name.suffix}"


def _version_of(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is replaced; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
