"""Pipelines of GStreamer for a Jetson's cameras and decoder, which end in NV12 pictures.

`nvvidconv` copies them out of NVMM on hardware of its own. NV12 is half the bytes of BGR, and what
counts it converts it; the usual videoconvert takes a core of the CPU for that.

Source: the Accelerated GStreamer pages of Jetson Linux r36.4 and r38.2, for nvarguscamerasrc,
nvv4l2decoder and nvvidconv; their properties are the same in JetPack 6 and 7. Not run on a board.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from edgecount.errors import SourceError
from edgecount.runtime.sources.faults import NoDecoderError

# The newest picture only: OpenCV asks for them when it is free.
SINK = "appsink drop=true max-buffers=1 sync=false"
_OUT = f"nvvidconv ! video/x-raw, format=NV12 ! {SINK}"
_CSI = re.compile(r"csi://(\d{1,2})/?(?:\?(.*))?", re.IGNORECASE)
_CSI_FORM = "csi://N or csi://N?size=WIDTHxHEIGHT&rate=PICTURES_PER_SECOND"
_SIZE = re.compile(r"((?=[1-9])\d{0,4}[02468])x((?=[1-9])\d{0,4}[02468])")  # even, as NV12 is
_RATE = re.compile(r"[1-9]\d{0,2}")
_DEPAYLOADERS = {"h264": "rtph264depay ! h264parse", "hevc": "rtph265depay ! h265parse"}
_LATENCY = 100  # ms for which packets that come in the wrong order are waited for


def csi_pipeline(address: str) -> str:
    """Return the pipeline of a camera on the CSI connector: csi://0?size=1280x720&rate=30.

    Raises:
        SourceError: it is no such address.
    """
    match = _CSI.fullmatch(address)
    options = dict(parse_qsl(match[2] or "", keep_blank_values=True)) if match else {}
    size = _SIZE.fullmatch(options.pop("size", "1280x720"))
    rate = options.pop("rate", "")
    if match is None or size is None or options or (rate and not _RATE.fullmatch(rate)):
        raise SourceError(f"expected {_CSI_FORM}, with even sides, got {address}")
    caps = f"width={size[1]}, height={size[2]}" + (f", framerate={rate}/1" if rate else "")
    return f"nvarguscamerasrc sensor-id={match[1]} ! video/x-raw(memory:NVMM), {caps} ! {_OUT}"


def rtsp_pipeline(address: str, codec: str, name: str) -> str:
    """Return the pipeline of a network camera that the board's decoder decodes.

    Args:
        address: rtsp:// or rtsps://.
        codec: "h264" or "hevc", as FFmpeg calls it.
        name: how it is called in messages.

    Raises:
        NoDecoderError: it is another codec.
    """
    if codec not in _DEPAYLOADERS:
        raise NoDecoderError(
            f'{name}: expected H.264 or H.265 for hardware="nvv4l2", got {codec}: leave hardware '
            "out, and the CPU decodes it"
        )
    quoted = address.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'rtspsrc location="{quoted}" protocols=tcp latency={_LATENCY} drop-on-latency=true ! '
        f"{_DEPAYLOADERS[codec]} ! nvv4l2decoder ! {_OUT}"
    )
