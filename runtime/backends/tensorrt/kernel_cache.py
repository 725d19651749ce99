"""Kernels that TensorRT for RTX compiled, kept on the disk for the next process.

A plan of TensorRT for RTX holds no machine code: its kernels are compiled where they run, for each
shape anew, which takes seconds. What was compiled lies beside the engine, or in the user's cache if
that folder cannot be written. Whatever is wrong with the file costs time, and never a count.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["KernelCache", "cache_path"]

_log = logging.getLogger(__name__)

_MAGIC = b"edgecount runtime cache 1\n"
# Photos of many sizes bring new kernels with every frame, and the file grows with them.
_PAUSE = 10.0  # seconds from one writing to the next


class KernelCache:
    """Compiled kernels of one engine, shared by its contexts. Safe to use from several threads.

    Args:
        plan: the engine's file.
        key: all that the kernels depend on: hash of the plan, TensorRT, GPU, driver. What is on the
            disk for another key is not used, and replaced.
    """

    def __init__(self, plan: Path, key: Mapping[str, str]) -> None:
        self._places = [path for path in (cache_path(plan), _cache_of_user(plan)) if path]
        self._plan, self._version = plan, _version_of(plan)
        self._key = dict(key)
        self._lock = threading.Lock()
        self._cache: Any = None
        self._saved = ""
        self._next = 0.0
        self._told = False

    def attach(self, config: Any) -> None:
        """Give a runtime configuration the kernels, before a context is made with it."""
        with self._lock:
            cache = self._cache or self._load(config)
            if cache is not None and config.set_runtime_cache(cache):
                self._cache = (
                    cache  # contexts that were made with it need it for as long as they live
                )
            else:
                self._tell("TensorRT takes no cache of kernels, and compiles them in each process")

    def save(self, *, last: bool = False) -> None:
        """Write what is new to the disk, unless it was written moments ago.

        Args:
            last: write it in any case.
        """
        with self._lock:
            if self._cache is None or (time.monotonic() < self._next and not last):
                return
            found = self._cache.serialize()
            kernels = b"" if found is None else bytes(found)
            digest = hashlib.sha256(kernels).hexdigest()
            if kernels and digest != self._saved and self._write(self._header(digest) + kernels):
                self._saved = digest
            self._next = time.monotonic() + _PAUSE

    def _load(self, config: Any) -> Any:
        """A cache with the newest kernels that are of use."""
        cache = config.create_runtime_cache()
        for path in sorted(self._places, key=_age):
            kernels = self._read(path)
            if cache is None or kernels is None:
                continue
            # TensorRT compares the GPU and the driver once more, and refuses without a change.
            if cache.deserialize(kernels):
                self._saved = hashlib.sha256(kernels).hexdigest()
                break
            _log.info("%s is not used: TensorRT refuses it; it is replaced", path)
        return cache

    def _read(self, path: Path) -> bytes | None:
        """The kernels in a file, if it is whole and theirs."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.info("%s is not used: %s", path, error.strerror)
            return None
        about, _, kernels = data[len(_MAGIC) :].partition(b"\n")
        if data.startswith(self._header(hashlib.sha256(kernels).hexdigest())):
            return kernels
        _log.info("%s is not used: %s; it is replaced", path, self._difference(about))
        return None

    def _difference(self, about: bytes) -> str:
        """What a file is of that is not of this engine."""
        try:
            found = json.loads(about)
            other = [
                f"{name} {found[name]}" for name in self._key if found[name] != self._key[name]
            ]
        except (ValueError, KeyError, TypeError):
            other = []
        return f"it was made for {', '.join(other)}" if other else "it is damaged"

    def _header(self, digest: str) -> bytes:
        about = json.dumps(self._key | {"sha256": digest}, sort_keys=True)
        return _MAGIC + about.encode() + b"\n"

    def _write(self, data: bytes) -> bool:
        """Whether it was written."""
        if _version_of(self._plan) != self._version:
            return False  # the file is another engine by now, whose kernels must not be replaced
        reasons = []
        for path in self._places:
            reason = _write_whole(path, data)
            if reason is None:
                return True
            reasons.append(f"{path}: {reason}")
        self._tell(f"compiled kernels are not kept for the next process: {'; '.join(reasons)}")
        return False

    def _tell(self, line: str) -> None:
        if not self._told:
            _log.info("%s", line)
        self._told = True


def cache_path(plan: Path) -> Path:
    """Where the kernels of an engine are: beside it, its name with .runtime-cache added."""
    return plan.with_name(f"{plan.name}.runtime-cache")


def _cache_of_user(plan: Path) -> Path | None:
    """The same for a folder that cannot be written; None for a user without a home."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        where = hashlib.sha256(str(plan.resolve()).encode()).hexdigest()[:16]
    except (OSError, RuntimeError):
        return None
    # By its place and not by its content: one file for each engine, however often it is rebuilt.
    name = cache_path(plan)
    return folder / "edgecount" / f"{name.stem}-{where}{name.suffix}"


def _version_of(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is replaced; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _age(path: Path) -> float:
    """So that the newest of several comes first."""
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _write_whole(path: Path, data: bytes) -> str | None:
    """Write under a name of its own, then rename: other processes write the same file.

    Returns:
        Why that cannot be done; None if it is done.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return error.strerror or str(error)
    return None
