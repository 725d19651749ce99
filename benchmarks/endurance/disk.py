"""A small file system that can be filled to the last byte."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from typing_extensions import Self

_BLOCK = 4096


class SmallDisk:
    """A tmpfs of its own, or, where it cannot be mounted, a folder that is never full.

    Args:
        folder: where it is mounted; it is made.
        size_mb: its size.

    Attributes:
        can_fill: whether it is a file system of its own.
    """

    def __init__(self, folder: Path, size_mb: int) -> None:
        self.folder = folder
        self._size = size_mb
        self.can_fill = False

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        options = f"size={self._size}m,mode=0755"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "soak", str(self.folder)],  # noqa: S607
            capture_output=True,
            check=False,
        )
        self.can_fill = done.returncode == 0
        return self

    def __exit__(self, *_: object) -> None:
        if self.can_fill:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)  # noqa: S607

    def fill(self) -> None:
        """Leave no byte free."""
        if not self.can_fill:
            return
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(_BLOCK))

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"
