"""Small clips of all kinds, made by PyAV."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
GOP = 6
EXACT = 2 | 1 << 18  # SWS_BILINEAR, SWS_ACCURATE_RND: else grey comes out 3 levels darker
TICKS = 12800  # of a time stamp of the .mp4 per second, at 25 frames per second
_ONE = 1 << 16
# How a track is to be turned, and what a picture then looks like.
TURNS: dict[str, tuple[tuple[int, ...], Callable[[Picture], Picture]]] = {
    "none": ((_ONE, 0, 0, _ONE), lambda image: image),
    "right": ((0, _ONE, -_ONE, 0), lambda image: np.rot90(image, -1)),
    "half": ((-_ONE, 0, 0, -_ONE), lambda image: np.rot90(image, 2)),
    "left": ((0, -_ONE, _ONE, 0), lambda image: np.rot90(image, 1)),
    "mirrored": ((-_ONE, 0, 0, _ONE), lambda image: image[:, ::-1]),
    "upside down": ((_ONE, 0, 0, -_ONE), lambda image: image[::-1]),
    "transposed": ((0, _ONE, _ONE, 0), lambda image: image.transpose(1, 0, 2)),
}


def picture(index: int, size: tuple[int, int] = (96, 64)) -> Picture:
    """Draw a smooth picture whose brightness tells its number, with a dark mark at the top left."""
    width, height = size
    ramp = np.add.outer(np.arange(height), np.arange(width)) / (width + height) * 100
    image = np.repeat((ramp + 40 + 4 * (index % 25))[:, :, None], 3, axis=2).astype(np.uint8)
    image[: height // 4, : width // 4] = 10
    return image


def _interlacer(size: tuple[int, int], pixels: str) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=size[0], height=size[1], format=av.VideoFormat(pixels), time_base=Fraction(1, 25)
    )
    mark, sink = graph.add("setparams", "field_mode=tff"), graph.add("buffersink")
    source.link_to(mark)
    mark.link_to(sink)
    graph.configure()
    return graph


def encode(
    codec: str,
    container: str,
    pictures: Sequence[Picture],
    *,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    interlaced: bool = False,
    stamps: Sequence[int] | None = None,
    sound: float = 0.0,
    ratio: Fraction | None = None,
) -> bytes:
    """Return a clip at 25 frames per second.

    ``stamps`` are times of the frames in thousandths of a second, ``sound`` the seconds of silence
    to put beside the video, and ``ratio`` the width of a pixel over its height.
    """
    size = pictures[0].shape[1], pictures[0].shape[0]
    buffer = io.BytesIO()
    graph = _interlacer(size, pixels) if interlaced else None
    with av.open(buffer, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        if stamps:
            stream.codec_context.time_base = Fraction(1, 1000)
        if codec not in ("gif", "apng"):
            stream.codec_context.gop_size = GOP
        stream.codec_context.thread_count = 1
        if ratio:
            stream.codec_context.sample_aspect_ratio = ratio
        audio: Any = output.add_stream("aac", rate=8000) if sound else None
        for index, image in enumerate(pictures):
            frame: Any = av.VideoFrame.from_ndarray(image, "bgr24")
            frame = frame.reformat(format=pixels, interpolation=EXACT)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            if stamps:
                frame.pts, frame.time_base = stamps[index], Fraction(1, 1000)
            if graph is not None:
                graph.push(frame)
                frame = graph.pull()
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound:
            for start in range(0, int(8000 * sound), 1024):
                silence = av.AudioFrame.from_ndarray(
                    np.zeros((1, 1024), np.float32), "fltp", "mono"
                )
                silence.sample_rate, silence.pts = 8000, start
                output.mux(audio.encode(silence))
            output.mux(audio.encode(None))
    return buffer.getvalue()


def remux(data: bytes, container: str, first: int, shift: int = 0, **options: str) -> bytes:
    """Copy the packets of a clip from the one with a number on, with earlier time stamps."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data)) as old, av.open(buffer, "w", container, options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        for packet in packets[first:]:
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = stream
            new.mux(packet)
    return buffer.getvalue()


def turned(mp4: bytes, matrix: Sequence[int]) -> bytes:
    """Write (a, b, c, d) into the matrix of the track's header.

    Source: ISO/IEC 14496-12, section 8.3.2.
    """
    a, b, c, d = matrix
    data = bytearray(mp4)
    struct.pack_into(">9i", data, mp4.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return bytes(data)


def packet_places(data: bytes) -> list[tuple[int, int]]:
    """Return where the packets of a clip are: position and size in bytes."""
    with av.open(io.BytesIO(data)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
