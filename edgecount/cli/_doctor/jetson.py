"""Jetson boards: model and JetPack, power mode and clocks."""

from __future__ import annotations

import re
from pathlib import Path

from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.commands import Ask, ask
from edgecount.cli._doctor.files import dotted, text_of

# NVIDIA's Linux for Tegra, newest first: the release from which a JetPack starts.
_JETPACKS = (
    ((39, 2, 1), "7.2.1"),
    ((39, 2, 0), "7.2"),
    ((38, 4, 0), "7.1"),
    ((38, 0, 0), "7.0"),
    ((36, 5, 0), "6.2.2"),
    ((36, 4, 4), "6.2.1"),
    ((36, 4, 3), "6.2"),
    ((36, 4, 0), "6.1"),
    ((36, 0, 0), "6.0"),
    ((34, 0, 0), "5"),
)
_OLDEST = (36, 0, 0)


def is_jetson(root: Path) -> bool:
    """Return whether this is a Jetson, which in a container only the device tree tells."""
    compatible = text_of(root / "proc/device-tree/compatible")
    return (root / "etc/nv_tegra_release").is_file() or "nvidia,tegra" in compatible


def board(root: Path) -> Check:
    """Read the board's model and its JetPack from the files that NVIDIA puts there."""
    model = text_of(root / "proc/device-tree/model").strip("\0\n ")
    release = text_of(root / "etc/nv_tegra_release")
    if not is_jetson(root):
        return Check("board", "ok", model or "not a Jetson")
    model = model or "Jetson"
    if not release:
        return Check("board", "ok", f"{model}, seen from a container: the host has the JetPack")
    match = re.search(r"R(\d+)\s.*?REVISION:\s*(\d+)(?:\.(\d+))?", release)
    if match is None:
        return Check("board", "warn", f"{model}, release not understood: {release[:60]!r}")
    linux = (int(match[1]), int(match[2]), int(match[3] or 0))
    installed = _jetpack_package(root)
    jetpack = installed or _jetpack_of(linux)
    found = f"{model}, {jetpack} (L4T {dotted(linux)})"
    if linux < _OLDEST:
        return Check("board", "warn", found, "edgecount is made for JetPack 6 and newer")
    return Check("board", "ok", found)


def _jetpack_of(linux: tuple[int, int, int]) -> str:
    newest = _JETPACKS[0]
    if linux > newest[0]:
        return f"JetPack {newest[1]} or newer"
    names = (name for first, name in _JETPACKS if linux >= first)
    return f"JetPack {next(names, '4 or older')}"


def _jetpack_package(root: Path) -> str | None:
    """Read JetPack's exact version from dpkg; None if the package for all of it is missing."""
    status = text_of(root / "var/lib/dpkg/status")
    match = re.search(r"^Package: nvidia-jetpack\n(?:.+\n)*?Version: ([\d.]+)", status, re.M)
    if match is None or "Status: install ok installed" not in match[0]:
        return None
    return f"JetPack {match[1]}"


def power(root: Path, ask: Ask = ask) -> Check:
    """Read the power mode, and whether the GPU's clock follows the load."""
    settings = text_of(root / "etc/nvpmodel.conf")
    lines = [line for line in settings.splitlines() if not line.lstrip().startswith("#")]
    pairs = re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=([^\s>]+)", "\n".join(lines))
    modes = {int(number): name for number, name in pairs}
    mode = _power_mode(root, modes, ask)
    clock, fixed = _gpu_clock(root)
    if mode is None:
        return Check("power", "ok", ", ".join(["mode not known", *clock]), "run  sudo nvpmodel -q")
    number, name = mode
    found = ", ".join([f"{name} (mode {number})", *clock])
    # Boards that have it call the mode without limits MAXN_SUPER, and have a slower MAXN or none.
    fastest = max(
        (n for n in modes if modes[n].startswith("MAXN")), key=modes.__getitem__, default=number
    )
    advice = ""
    if fastest != number:
        advice = f"{modes[fastest]} is faster:  sudo nvpmodel -m {fastest} && sudo jetson_clocks"
    elif clock and not fixed:
        advice = "for even times, until the next boot:  sudo jetson_clocks"
    return Check("power", "ok", found, advice)


def _power_mode(root: Path, modes: dict[int, str], ask: Ask) -> tuple[int, str] | None:
    """Return the number and name of the mode, from its file or else from its program."""
    match = re.search(r"pmode:(\d+)", text_of(root / "var/lib/nvpmodel/status"))
    if match and int(match[1]) in modes:
        return int(match[1]), modes[int(match[1])]
    answer = ask("nvpmodel", "-q")
    match = re.search(r"NV Power Mode:\s*(\S+)\s+(\d+)", answer.text) if answer.ok else None
    return (int(match[2]), match[1]) if match else None


def _gpu_clock(root: Path) -> tuple[list[str], bool]:
    """Describe the GPU's clock, if it can be read, and say whether jetson_clocks has fixed it."""
    # 17000000.gpu on Orin, gpu-gpc-0 on Thor.
    for folder in sorted((root / "sys/class/devfreq").glob("*")):
        if not re.search(r"\.gpu$|\.ga10b$|^gpu-gpc", folder.name):
            continue
        try:
            low, high = (int(text_of(folder / name)) for name in ("min_freq", "max_freq"))
        except ValueError:
            continue
        if low == high:
            return [f"GPU clock fixed at {low / 1e6:.0f} MHz"], True
        return [f"GPU clock {low / 1e6:.0f} to {high / 1e6:.0f} MHz by load"], False
    return [], False
