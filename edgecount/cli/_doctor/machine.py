"""Python, operating system, processor, board, and edgecount itself."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from edgecount.cli._doctor import Check

_SIMD = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm")

# NVIDIA's Linux for Tegra, newest first: the release from which a JetPack starts.
_JETPACKS = (
    ((38, 0), "JetPack 7"),
    ((36, 4), "JetPack 6.1 or 6.2"),
    ((36, 0), "JetPack 6.0"),
    ((34, 0), "JetPack 5"),
)


def python() -> Check:
    """The interpreter."""
    return Check("python", "ok", f"{platform.python_version()} in {sys.prefix}")


def system() -> Check:
    """The operating system and libc."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        name = platform.system()
    parts = [name, platform.release(), platform.machine(), " ".join(platform.libc_ver())]
    return Check("system", "ok", ", ".join(part for part in parts if part.strip()))


def cpu(info: Path = Path("/proc/cpuinfo")) -> Check:
    """Cores this process may use, and the vector instructions that matter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = info.read_text(errors="replace") if info.is_file() else ""
    lists = re.findall(r"(?:flags|Features)\s*:(.*)", text)  # x86's word and Arm's
    flags = {flag for line in lists for flag in line.split()}
    name = re.search(r"model name\s*:\s*(.+)", text)
    simd = [flag for flag in _SIMD if flag in flags]
    parts = [name[1].strip() if name else platform.processor() or platform.machine()]
    parts.append(f"{cores} core{'' if cores == 1 else 's'}")
    if simd:
        parts.append(" ".join(simd))
    found = ", ".join(parts)
    if platform.machine() in ("x86_64", "AMD64") and text and "avx2" not in flags:
        return Check("cpu", "warn", found, "without AVX2 counting is several times slower")
    return Check("cpu", "ok", found)


def board(root: Path = Path("/")) -> Check:
    """The Jetson model and its JetPack, from the files that NVIDIA puts there."""
    model_file = root / "proc/device-tree/model"
    model = model_file.read_text(errors="replace").strip("\0\n ") if model_file.is_file() else ""
    release_file = root / "etc/nv_tegra_release"
    if not release_file.is_file():
        return Check("board", "ok", model or "not a Jetson")
    text = release_file.read_text(errors="replace")
    match = re.search(r"R(\d+)\s.*?REVISION:\s*(\d+)([.\d]*)", text)
    if match is None:
        return Check("board", "warn", f"{model or 'Jetson'}, release not understood: {text[:60]!r}")
    release = (int(match[1]), int(match[2]))
    jetpack = next((name for first, name in _JETPACKS if release >= first), "JetPack 4 or older")
    found = f"{model or 'Jetson'}, L4T {match[1]}.{match[2]}{match[3]}, {jetpack}"
    if release < (36, 0):
        return Check("board", "warn", found, "edgecount is made for JetPack 6 and newer")
    return Check("board", "ok", found)


def package() -> Check:
    """The package and its compiled part."""
    from edgecount import __version__

    try:
        from edgecount import _ext
    except ImportError as error:
        advice = "reinstall edgecount; from source it needs a C++17 compiler"
        return Check("edgecount", "fail", f"{__version__}, kernels not loaded: {error}", advice)
    cuda = "with CUDA" if _ext.cuda_built else "CPU only"
    return Check("edgecount", "ok", f"{__version__}, kernels built {cuda}")
