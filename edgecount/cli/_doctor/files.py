"""Files that may be missing, or that may not be read."""

from __future__ import annotations

import re
from pathlib import Path


def text_of(path: Path) -> str:
    """Return a file's text; empty if it is missing or may not be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def libraries(root: Path, name: str) -> list[Path]:
    """Find the shared libraries of a name, such as libnvinfer.so.10.3.0, newest version last."""
    folders = ("usr/lib/*-linux-gnu", "usr/lib64", "usr/local/lib", "usr/local/cuda/lib64")
    found = {path for folder in folders for path in root.glob(f"{folder}/{name}.so.*")}
    return sorted(found, key=lambda path: (version_of(path), path))


def version_of(library: Path) -> tuple[int, ...]:
    """Return (10, 3, 0) for libnvinfer.so.10.3.0."""
    match = re.search(r"\.so\.([\d.]+)$", library.name)
    return tuple(int(part) for part in match[1].split(".") if part) if match else ()


def dotted(version: tuple[int, ...]) -> str:
    """Return "10.3.0" for (10, 3, 0)."""
    return ".".join(str(part) for part in version)
