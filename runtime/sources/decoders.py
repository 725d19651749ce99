"""Decoders in the place of a stream's own: on hardware, or stricter ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import av

from edgecount.runtime.sources.convert import display_matrix
from edgecount.runtime.sources.once import warn_once

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel

_log = logging.getLogger(__name__)

# Decoders that keep damage to themselves unless they are asked; "explode" returns an error in
# place of the frame. Measured with flipped bits by benchmarks/damaged_video.py, which also says
# which formats cannot tell: VP8, FFV1, HuffYUV, GIF.
CHECKS = {
    "hevc": "crccheck+explode",
    "mjpeg": "explode",
    **dict.fromkeys(("msmpeg4v1", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2"), "bitstream+buffer"),
}
# Decoders of the same format that notice more damage, if more slowly.
_STRICTER = {"vp9": "libvpx-vp9"}
STRICTER_NAMES = frozenset(_STRICTER.values())
# What a container may say of a stream, and its packets may not.
_TOLD = ("extradata", "codec_tag", "color_primaries", "color_trc", "colorspace", "color_range")


class StreamMatrix:
    """The display matrix of a stream that another decoder than its own decodes.

    Containers keep the matrix beside the packets. FFmpeg hands it to the stream's own decoder,
    which puts it on each frame, and PyAV has no way to give it to another one. So the stream's own
    decoder decodes the first key frame, too, and what it says there holds for all frames.

    Args:
        own: the stream's own `av.CodecContext`, which decodes nothing else.
        options: its options.

    Attributes:
        value: the matrix, as `display_matrix` has it; None: there is none, or no key frame yet.
    """

    def __init__(self, own: Any, options: dict[str, str]) -> None:
        self.value: tuple[int, ...] | None = None
        self._own = own
        own.options = options
        own.thread_count = 1

    def look(self, packet: Any) -> None:
        """Look at a packet that is about to be decoded."""
        if self._own is None or packet is None or not packet.is_keyframe:
            return
        with suppress(EOFError, av.FFmpegError):  # damaged: the next key frame tells
            # What it keeps back to put frames in order comes with the end of the stream.
            frames = self._own.decode(packet) or self._own.decode(None)
            if frames:
                self.value = display_matrix(frames[0])
                self._own = None
                return
        self._own.flush_buffers()


def another_decoder(own: Any, name: str, hwaccel: HWAccel | None = None) -> Any:
    """Return a decoder of a stream that knows what its own knows, but for the display matrix.

    Args:
        own: the stream's own `av.CodecContext`.
        name: of the decoder.
        hwaccel: the device that it runs on; None: the CPU.

    Raises:
        ValueError: this build of FFmpeg has no such decoder.
        av.FFmpegError, NotImplementedError, RuntimeError: the device cannot be used.
    """
    other: Any = av.CodecContext.create(name, "r", hwaccel=hwaccel)
    for what in _TOLD:
        setattr(other, what, getattr(own, what))
    return other


def stricter(codec: Any) -> Any:
    """Return a decoder that notices more damage than a stream's own, or else that one."""
    if codec.name in _STRICTER and codec.pix_fmt == "yuv420p":
        with suppress(ValueError):  # not in this build of FFmpeg
            return another_decoder(codec, _STRICTER[codec.name])
    return codec


def accelerated(codec: Any, devices: Sequence[HWAccel], name: str) -> Any:
    """Return a decoder on the first of the devices that has one, or else the decoder as it is.

    Args:
        codec: an `av.CodecContext`.
        devices: settings of devices.
        name: of the video, for the log.
    """
    reasons = []
    for device in devices:
        try:
            other = another_decoder(codec, codec.name, device)
        except (av.FFmpegError, NotImplementedError, RuntimeError, ValueError) as error:
            reasons.append(str(getattr(error, "strerror", None) or error))
            continue
        if other.is_hwaccel:
            return other
        reasons.append(f"it does not decode {codec.name}")
    if devices:
        warn_once(_log, f"{name} is decoded on the CPU: the hardware cannot ({reasons[0]})")
    return codec
