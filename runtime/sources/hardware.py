"""Decoding by hardware, where FFmpeg and the machine have it."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any

from edgecount.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from edgecount.runtime.sources.nvdec import NvdecDevice

_AUTO = "auto"
NVDEC = "nvdec"  # NVIDIA's decoder; with a colon and a number that of another GPU than the first
BOARD = "nvv4l2"  # the decoder of a Jetson, by way of GStreamer
_PREFIX = re.compile(r"\s*(nvdec|nvv4l2):(?=.)(?!//)(.*)", re.DOTALL)
# The order in which they are tried: those of a GPU that may count as well first.
_ORDER = ("cuda", "vaapi", "qsv", "videotoolbox", "d3d11va", "vulkan", "drm")


def split_hardware(text: str) -> tuple[str | None, str]:
    """Return the decoder that a source's text names before a colon, and the rest of the text."""
    match = _PREFIX.fullmatch(text)
    return (match[1], match[2]) if match else (None, text)


def check_hardware(hardware: str | None) -> None:
    """Refuse a device that this FFmpeg does not know, or whose package is not installed."""
    if hardware is None or hardware in {_AUTO, BOARD}:
        return
    if hardware.startswith(NVDEC):
        accelerators(hardware)  # refuses a wrong name
        for module in ("av", "PyNvVideoCodec"):
            if importlib.util.find_spec(module) is None:
                raise MissingExtraError(module, "nvdec", "to decode on NVDEC")
        return
    known = _known()
    if hardware not in known:
        raise ConfigError(
            f'hardware: expected "auto", "nvdec", "{BOARD}" or one of those in this FFmpeg '
            f"({', '.join(known) or 'none'}), got {hardware!r}"
        )


def accelerators(hardware: str | None) -> list[Any] | NvdecDevice:
    """Return NVDEC, or PyAV's settings of the devices to be tried, in order."""
    if hardware is None:
        return []
    if hardware.startswith(NVDEC):
        from edgecount.runtime.sources.nvdec import nvdec_device

        return nvdec_device(hardware)
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
