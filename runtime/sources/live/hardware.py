"""Decoding by hardware, where FFmpeg and the machine have it."""

from __future__ import annotations

from typing import Any

from edgecount.errors import ConfigError

_AUTO = "auto"
# The order in which they are tried: those of a GPU that may count as well first.
_ORDER = ("cuda", "vaapi", "qsv", "videotoolbox", "d3d11va", "vulkan", "drm")


def check_hardware(hardware: str | None) -> None:
    """Refuse a device that this FFmpeg does not know."""
    if hardware is None or hardware == _AUTO:
        return
    known = _known()
    if hardware not in known:
        raise ConfigError(
            f'hardware: expected "auto" or one of those in this FFmpeg '
            f"({', '.join(known) or 'none'}), got {hardware!r}"
        )


def accelerators(hardware: str | None) -> list[Any]:
    """Return PyAV's settings of the devices to be tried, in order."""
    if hardware is None:
        return []
    from av.codec.hwaccel import HWAccel

    known = _known()
    names = [name for name in _ORDER if name in known] if hardware == _AUTO else [hardware]
    return [HWAccel(name, allow_software_fallback=True) for name in names]


def _known() -> list[str]:
    try:
        from av.codec.hwaccel import hwdevices_available
    except ImportError:
        return []
    return list(hwdevices_available())
