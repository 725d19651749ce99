"""Memory and swap: on disks, and as compressed memory (zram)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.files import text_of
from edgecount.cli._doctor.jetson import is_jetson

_KIB_IN_GIB = 2**20
# TensorRT's libraries, the network and a workspace have to fit into what is free.
_ENOUGH_FOR_A_BUILD = 2.0
_SMALL_BOARD = 8.5  # GiB: boards of 8 GB and below


class Swap(NamedTuple):
    """A place of swap: its name without folders, and its size and what lies there, in GiB."""

    name: str
    size: float
    used: float

    @property
    def compressed(self) -> bool:
        """Whether it is zram: a part of the memory itself."""
        return self.name.startswith("zram")


def memory(root: Path) -> Check:
    """Read the memory, which a Jetson's CPU and GPU share, and where swap lies."""
    pairs = re.findall(r"^(\w+):\s+(\d+) kB", text_of(root / "proc/meminfo"), re.M)
    gib = {name: int(number) / _KIB_IN_GIB for name, number in pairs}
    if "MemTotal" not in gib:
        return Check("memory", "ok", "not known: there is no /proc/meminfo")
    total, free = gib["MemTotal"], gib.get("MemAvailable", 0.0)
    places, board = find_swap(root), is_jetson(root)
    shared = " for CPU and GPU" if board else ""
    found = f"{total:.1f} GiB{shared}, {free:.1f} free, {_describe(places, root)}"
    advice = _advice(places) if board and total <= _SMALL_BOARD else []
    if board and free < _ENOUGH_FOR_A_BUILD:
        less = (
            "building an engine may not fit: end the desktop ( sudo systemctl isolate "
            "multi-user.target ), or export with --workspace 512"
        )
        return Check("memory", "warn", found, "\n".join([less, *advice]))
    return Check("memory", "ok", found, "\n".join(advice))


def find_swap(root: Path) -> list[Swap]:
    """Return the places of swap, in the order in which the kernel lists them."""
    lines = [line.split() for line in text_of(root / "proc/swaps").splitlines()[1:]]
    return [
        # Spaces in a name are written as "\040", so that these are columns.
        Swap(Path(name).name, int(size) / _KIB_IN_GIB, int(used) / _KIB_IN_GIB)
        for name, _kind, size, used, *_priority in lines
    ]


def _describe(places: list[Swap], root: Path) -> str:
    """Return such as "swap 3.7 zram (1.0 used, in 0.3 of memory) and 8.0 swapfile (0.0 used)"."""
    if not places:
        return "no swap"
    compressed = [place for place in places if place.compressed]
    parts = []
    if compressed:
        size, used = (sum(values) for values in list(zip(*compressed, strict=True))[1:])
        inside = f", in {_taken_by_zram(compressed, root):.1f} of memory" if used else ""
        parts.append(f"{size:.1f} zram ({used:.1f} used{inside})")
    others = [place for place in places if not place.compressed]
    parts += [f"{place.size:.1f} {place.name} ({place.used:.1f} used)" for place in others]
    return f"swap {' and '.join(parts)}"


def _taken_by_zram(places: list[Swap], root: Path) -> float:
    """Return the GiB of memory that zram takes for what lies in it."""
    # The third number of mm_stat is mem_used_total, in bytes:
    # https://docs.kernel.org/admin-guide/blockdev/zram.html
    numbers = [text_of(root / "sys/block" / place.name / "mm_stat").split() for place in places]
    return sum(int(found[2]) for found in numbers if len(found) > 2) / 2**30


def _advice(places: list[Swap]) -> list[str]:
    """Say what a small board's swap lacks; nothing if it lies on a disk alone."""
    compressed = any(place.compressed for place in places)
    on_disk = any(not place.compressed for place in places)
    if on_disk and compressed:
        both = "zram is filled before the disk, and lies in the memory that is short:  "
        return [f"{both}sudo systemctl disable nvzramconfig  and a reboot"]
    why = ": zram takes its room from the memory itself" if compressed else ""
    needed = f"swap on a disk helps builds of engines{why} (docs/jetson.md, Memory)"
    return [] if on_disk else [needed]
