"""The CUDA toolkit, with which edgecount's CUDA part is built, and cuDNN."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.commands import Ask, ask
from edgecount.cli._doctor.files import dotted, libraries, text_of, version_of


def find_nvcc(root: Path) -> Path | None:
    """Find the compiler, on PATH or where NVIDIA's packages put it without changing PATH."""
    found = shutil.which("nvcc") if root == Path("/") else None
    standard = root / "usr/local/cuda/bin/nvcc"
    return Path(found) if found else standard if standard.is_file() else None


def cuda(root: Path, ask: Ask = ask) -> Check:
    """Find the toolkit and cuDNN; edgecount needs neither once it is installed."""
    nvcc = find_nvcc(root)
    parts = [f"toolkit {_version(nvcc, ask)} in {nvcc.parents[1]}" if nvcc else "no toolkit"]
    # The name says the whole version where the file is the library and not a link to it.
    versions = [version_of(path) for path in libraries(root, "libcudnn")]
    if versions:
        parts.append(f"cuDNN {dotted(max(versions, key=lambda v: (v[0], len(v), v)))}")
    return Check("cuda", "ok", ", ".join(parts))


def _version(nvcc: Path, ask: Ask) -> str:
    try:
        return str(json.loads(text_of(nvcc.parents[1] / "version.json"))["cuda"]["version"])
    except (ValueError, KeyError, TypeError):
        pass
    answer = ask(nvcc, "--version")
    match = re.search(r"release [\d.]+, V([\d.]+)", answer.text)
    return match[1] if match else f"of unknown version ({answer.text or 'nvcc says nothing'})"
