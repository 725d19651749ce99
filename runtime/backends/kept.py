"""Compiled models, kept in files for the next process.

A file holds the key that it was made for, such as the hashes and versions of all that it depends
on, and the hash of its content. One that is damaged, or was made for another key, is not used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from edgecount._files import write_whole
from edgecount.errors import OutputError


def user_cache() -> Path | None:
    """Return the user's folder for what can be made again; None without a home."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():  # others are to be ignored, by the standard of these folders
        return named / "edgecount"
    try:
        return Path.home() / ".cache" / "edgecount"
    except (OSError, RuntimeError):
        return None


class KeptFiles:
    """Reads and writes files of one key.

    Args:
        magic: first line of the files, with its line feed, which says what they are.
        key: all that the content depends on.
        log: where to say why a file is not used.
    """

    def __init__(self, magic: bytes, key: Mapping[str, str], log: logging.Logger) -> None:
        self._magic = magic
        self._key = dict(key)
        self._log = log

    def read(self, path: Path) -> bytes | None:
        """Return a file's content, if it is whole and was written for the key."""
        if not path.is_file():
            return None
        try:
            data = path.read_bytes()
        except OSError as error:
            self._log.info("%s is not used: %s", path, error.strerror)
            return None
        about, _, content = data[len(self._magic) :].partition(b"\n")
        if data.startswith(self._header(content)):
            return content
        self._log.info("%s is not used: %s; it is replaced", path, self._difference(about))
        return None

    def packed(self, content: bytes) -> bytes:
        """Return the bytes of a file with this content."""
        return self._header(content) + content

    def _header(self, content: bytes) -> bytes:
        digest = hashlib.sha256(content).hexdigest()
        about = json.dumps(self._key | {"sha256": digest}, sort_keys=True)
        return self._magic + about.encode() + b"\n"

    def _difference(self, about: bytes) -> str:
        """Return why a file with this header is of no use."""
        try:
            found = json.loads(about)
            other = [
                f"{name} {found[name]}" for name in self._key if found[name] != self._key[name]
            ]
        except (ValueError, KeyError, TypeError):
            other = []
        return f"it was made for {', '.join(other)}" if other else "it is damaged"


def write_first(places: list[Path], data: bytes) -> str | None:
    """Write a file to the first of some places that takes it; return why none did, else None."""
    reasons = []
    for path in places:
        try:
            write_whole(path, data)
        except OutputError as error:  # noqa: PERF203 (two places at most)
            reasons.append(str(error))
        else:
            return None
    return "; ".join(reasons) or "there is no folder for it"


def age(path: Path) -> float:
    """Return a sort key by which the newest file comes first."""
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def prune(folder: Path, pattern: str, most: int) -> None:
    """Delete the oldest files of a folder until those left take at most so many bytes in all."""
    total = 0
    with suppress(OSError):
        for path in sorted(folder.glob(pattern), key=age):
            with suppress(OSError):  # another process may have deleted it
                total += path.stat().st_size
                if total > most:
                    path.unlink()
