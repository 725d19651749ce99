"""A decoder of H.264 and H.265 on NVDEC, in the place of one of FFmpeg's.

FFmpeg reads the packets, as of every other video, and NVDEC decodes them. It hides damage within a
picture and says nothing of it; what packets tell is known here as well.

Source: PyNvVideoCodec 2.2.4, its module's signatures and PyNvDecoder.cpp.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from av.bitstream import BitStreamFilterContext

from edgecount.errors import ConfigError, SourceError
from edgecount.runtime.cuda.driver import why_no_gpu
from edgecount.runtime.sources.faults import NoDecoderError, PermanentError
from edgecount.runtime.sources.nvdec.library import load_library
from edgecount.runtime.sources.nvdec.pool import FramePool
from edgecount.runtime.sources.once import warn_once

if TYPE_CHECKING:
    from fractions import Fraction

    from edgecount.runtime.frames.pixel_formats import NV12Frame

_log = logging.getLogger(__name__)

_NAME: Final = re.compile(r"nvdec(?::(\d{1,3}))?")
_CODECS: Final = {"h264": "H264", "hevc": "HEVC"}
_PIXELS: Final = {"yuv420p": False, "yuvj420p": True, "nv12": False}  # and whether in full range
_MATRICES: Final = {1: "bt709", 0: "bt601", 2: "bt601", 5: "bt601", 6: "bt601"}  # AVColorSpace
_FULL: Final = 2  # AVCOL_RANGE_JPEG
_EXPECTED: Final = "expected H.264 or H.265 with 8 bits, 4:2:0, in BT.601 or BT.709 for NVDEC"
_OTHERWISE: Final = (
    'decode it on the CPU, or a stream through FFmpeg with LiveOptions(hardware="cuda")'
)
_REMEMBERED: Final = 256  # packets, far more than any decoder keeps back


class NvdecDevice(NamedTuple):
    """NVDEC of a GPU, as a place to decode.

    Attributes:
        gpu: number of the GPU.
    """

    gpu: int

    def open(self, stream: Any, name: str, *, live: bool) -> NvdecDecoder:
        """Open a decoder for a stream.

        Args:
            stream: an `av.VideoStream`.
            name: of the video, for messages.
            live: whether pictures are to come as soon as they can.

        Raises:
            MissingExtraError: PyNvVideoCodec is not installed.
            SourceError: there is no such GPU, or it does not decode this video.
        """
        return NvdecDecoder(self.gpu, stream, name, live=live)


def nvdec_device(hardware: str) -> NvdecDevice:
    """Return NVDEC by its name: "nvdec", or "nvdec:N" for GPU N.

    Raises:
        ConfigError: it is another name.
    """
    match = _NAME.fullmatch(hardware)
    if match is None:
        raise ConfigError(
            f'hardware: expected "nvdec", or "nvdec:1" for the GPU of that number, got {hardware!r}'
        )
    return NvdecDevice(int(match[1] or 0))


class NvdecFrame(NamedTuple):
    """A decoded frame, with what `FrameFilter` asks of one.

    Attributes:
        picture: the frame on the GPU.
        pts: time stamp of its packet.
        width: in pixels.
        height: in pixels.
        key_frame: whether its packet is one of a key frame.
    """

    picture: NV12Frame
    pts: int | None
    width: int
    height: int
    key_frame: bool
    is_corrupt: bool = False
    interlaced_frame: bool = False  # NVDEC deinterlaces
    pict_type: int = 0
    time_base: None = None


class NvdecDecoder:
    """An open decoder on NVDEC, used as `av.CodecContext` is.

    FFmpeg decodes the first key frame too: what its colours are, whether it is to be turned, and
    whether frames come in another order than they are shown in, is known only then.

    Attributes:
        name: of the codec, such as "h264".
        codec: what FFmpeg knows of the codec.
    """

    def __init__(self, gpu: int, stream: Any, name: str, *, live: bool) -> None:
        self._context = context = stream.codec_context
        self.name = str(context.name)
        self.codec = context.codec
        self._source = name
        self._gpu, self._live = gpu, live
        if self.name not in _CODECS:
            raise NoDecoderError(f"{name}: {_EXPECTED}, got {self.name}: {_OTHERWISE}")
        self._nvc = load_library()
        reason = why_no_gpu()
        if reason is not None:
            raise PermanentError(f"{name} cannot be decoded on NVDEC: {reason}")
        with self._failures("cannot be decoded on NVDEC"):
            self._pool = FramePool(gpu)
        self._decoder: Any = None  # until a key frame comes
        self._colours = "bt601", False
        self._at_once = False
        extradata = bytes(context.extradata or b"")
        # MP4 and Matroska hold lengths in place of start codes, and the parameters apart.
        is_boxed = extradata[:1] == b"\x01"
        self._filter = (
            BitStreamFilterContext(f"{self.name}_mp4toannexb", stream) if is_boxed else None
        )
        self._parameters = b"" if is_boxed else extradata
        self._packets: dict[int, tuple[int | None, bool]] = {}
        self._number = 0
        self._is_after_gap = False
        warn_once(
            _log,
            f"{name} is decoded on NVDEC, which hides damage within a picture and says nothing of "
            "it",
        )

    def decode(self, packet: Any) -> list[NvdecFrame]:
        """Decode a packet, or what is left with None, and return the frames that are there.

        Raises:
            SourceError: NVDEC fails, or does not decode such frames.
            av.FFmpegError: FFmpeg fails.
        """
        if self._decoder is None and not (packet is not None and self._start(packet)):
            return []
        packets = [packet] if self._filter is None else self._filter.filter(packet)
        frames = [frame for one in packets if one is not None for frame in self._decode(one)]
        return frames if packet is not None else frames + self._run(self._nvc.PacketData())

    def _start(self, packet: Any) -> bool:
        """Open NVDEC by what a first key frame tells; returns whether the packet is one."""
        if not packet.is_keyframe:
            return False
        context = self._context
        looked_at = context.decode(packet) or context.decode(None)
        if not looked_at:
            context.flush_buffers()
            return False
        self._colours = _colours_of(looked_at[0], self._source)
        kinds = self._nvc.DisplayDecodeLatencyType
        # At once is for frames in the order in which they are shown: others would be mixed up.
        self._at_once = self._live and not context.has_b_frames
        with self._failures("cannot be decoded on NVDEC"):
            self._decoder = self._nvc.CreateDecoder(
                gpuid=self._gpu,
                codec=getattr(self._nvc.cudaVideoCodec, _CODECS[self.name]),
                usedevicememory=True,
                latency=kinds.LOW if self._at_once else kinds.NATIVE,
            )
        return True

    def flush_buffers(self) -> None:
        """Note that the next packet does not follow the last one."""
        self._is_after_gap = True

    @property
    def sample_aspect_ratio(self) -> Fraction | None:
        """Width of a pixel over its height, as FFmpeg has it; None: it knows of none."""
        ratio: Fraction | None = self._context.sample_aspect_ratio
        return ratio

    def to_picture(self, frame: NvdecFrame, ratio: Fraction) -> NV12Frame:
        """Return the picture of a frame.

        Raises:
            NoDecoderError: its pixels are not square.
        """
        if ratio != 1:
            raise NoDecoderError(
                f"{self._source}: its pixels are not square, and NVDEC does not resize: "
                f"{_OTHERWISE}"
            )
        return frame.picture

    def _decode(self, packet: Any) -> list[NvdecFrame]:
        payload = bytes(packet)
        if not payload:
            return []
        if packet.is_keyframe:
            payload = self._parameters + payload
        self._number += 1
        self._packets[self._number] = packet.pts, bool(packet.is_keyframe)
        if len(self._packets) > _REMEMBERED:
            del self._packets[min(self._packets)]
        data = self._nvc.PacketData()
        held = np.frombuffer(payload, np.uint8)  # until the call returns
        data.bsl_data, data.bsl = held.ctypes.data, held.nbytes
        # Numbers go through the decoder in place of time stamps, which streams may lack or repeat.
        data.pts = self._number
        flags = self._nvc.VideoPacketFlag
        if self._is_after_gap:
            data.decode_flag = flags.DISCONTINUITY
            self._is_after_gap = False
        elif self._at_once:
            data.decode_flag = flags.ENDOFPICTURE
        return self._run(data)

    def _run(self, data: Any) -> list[NvdecFrame]:
        with self._failures("is decoded no further"):
            # Copied before the next call, which writes over them.
            return [self._frame(decoded) for decoded in self._decoder.Decode(data)]

    def _frame(self, decoded: Any) -> NvdecFrame:
        if decoded.format != self._nvc.Pixel_Format.NV12:
            raise NoDecoderError(
                f"{self._source}: {_EXPECTED}, got frames in {decoded.format}: {_OTHERWISE}"
            )
        matrix, full_range = self._colours
        picture = self._pool.copy(decoded, matrix, full_range=full_range)
        height, width = picture.luma.shape
        pts, is_key = self._packets.pop(int(decoded.getPTS()), (None, False))
        return NvdecFrame(picture, pts, width, height, is_key)

    def _failures(self, what: str) -> _Failures:
        return _Failures(f"{self._source} {what}")


class _Failures:
    """A context manager that raises SourceError for what PyNvVideoCodec and the GPU raise."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, SourceError):
            reason = " ".join(str(error).split())
            raise SourceError(f"{self._text}: {reason or type(error).__name__}") from error


def _colours_of(frame: Any, name: str) -> tuple[str, bool]:
    """Return the matrix and range of a frame's colours; without a tag those that OpenCV takes.

    Args:
        frame: an `av.VideoFrame`.
        name: of the video, for messages.

    Raises:
        NoDecoderError: NVDEC's frames of it cannot be counted.
    """
    pixels, matrix = frame.format.name, _MATRICES.get(int(frame.colorspace))
    if pixels not in _PIXELS or matrix is None:
        raise NoDecoderError(
            f"{name}: {_EXPECTED}, got {pixels} in color space {int(frame.colorspace)}: "
            f"{_OTHERWISE}"
        )
    if frame.rotation or frame.side_data.get("DISPLAYMATRIX") is not None:
        raise NoDecoderError(f"{name}: it is to be turned, which NVDEC does not do: {_OTHERWISE}")
    return matrix, _PIXELS[pixels] or int(frame.color_range) == _FULL
