"""Facts of this machine's CPU that decide how fast a model file is."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path
from typing import NamedTuple

X86 = ("x86_64", "AMD64")
"""Names of the kind of machine that Intel's and AMD's CPUs are."""

# Instructions that add products of bytes in one step: x86 (AVX-512 and AVX), and ARM.
_INT8 = {"avx512_vnni", "avx_vnni", "asimddp", "i8mm"}
# Those by which x86 computes in bfloat16 or float16, and what they need at the least.
_HALF = {"avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16", "avx_ne_convert"}
_HEAD = 16384  # bytes of /proc/cpuinfo: the first core's part


class Cpu(NamedTuple):
    """A CPU.

    Attributes:
        name: its name, or the kind of machine where the system does not say.
        machine: the kind of machine, such as "x86_64".
        int8: whether it has instructions for INT8; None where the system does not say.
    """

    name: str
    machine: str
    int8: bool | None


def this_cpu(info: Path = Path("/proc/cpuinfo")) -> Cpu:
    """Return the facts of this CPU; ``info`` is where Linux describes it."""
    machine = platform.machine()
    text = _described(info)
    if text is None:
        # Every Mac with ARM has them.
        known = True if sys.platform == "darwin" and machine == "arm64" else None
        return Cpu(platform.processor() or machine, machine, known)
    name = _field(text, "model name") or _field(text, "Model") or machine
    flags = _field(text, "flags") or _field(text, "Features")
    return Cpu(name, machine, bool(_INT8 & set(flags.split())) if flags else None)


def usable_threads() -> int:
    """Return the number of hardware threads that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def may_have_half_precision(info: Path = Path("/proc/cpuinfo")) -> bool:
    """Return False if this CPU certainly has no instructions for bfloat16 or float16."""
    text = _described(info)
    flags = _field(text, "flags").split() if text else []  # x86's word: on ARM most have them
    return not flags or bool(_HALF & set(flags))


def _described(info: Path) -> str | None:
    """Return how Linux describes the first core; None: it does not."""
    try:
        with info.open("rb") as file:
            return file.read(_HEAD).decode(errors="replace")
    except OSError:
        return None


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""
