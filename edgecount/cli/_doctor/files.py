"""Reading what may be missing, or not allowed to be read."""

from __future__ import annotations

import re
from pathlib import Path


def text_of(path: Path) -> str:
    """A file's text; empty where there is none, or none that may be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def libraries(root: Path, name: str) -> list[Path]:
    """The shared libraries of a name, such as libnvinfer.so.10.3.0, newest version last."""
    folders = ("usr/lib/*-linux-gnu", "usr/lib64", "usr/local/lib", "usr/local/cuda/lib64")
    found = {path for folder in folders for path in root.glob(f"{folder}/{name}.so.*")}
    return sorted(found, key=lambda path: (version_of(path), path))


def version_of(library: Path) -> tuple[int, ...]:
    """(10, 3, 0) of libnvinfer.so.10.3.0."""
    match = re.search(r"\.so\.([\d.]+)$", library.name)
    return tuple(int(part) for part in match[1].split(".") if part) if match else ()


def dotted(version: tuple[int, ...]) -> str:
    """(10, 3, 0) as 10.3.0."""
    return ".".join(str(part) for part in version)
