"""Python, operating system, processor."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from edgecount.cli._doctor.check import Check

_SIMD = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm")


def python() -> Check:
    """Name the interpreter."""
    return Check("python", "ok", f"{platform.python_version()} in {sys.prefix}")


def system() -> Check:
    """Name the operating system and libc."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        name = platform.system()
    parts = [name, platform.release(), platform.machine(), " ".join(platform.libc_ver())]
    return Check("system", "ok", ", ".join(part for part in parts if part.strip()))


def cpu(info: Path = Path("/proc/cpuinfo")) -> Check:
    """Count the cores this process may use, and list the vector instructions that matter."""
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
