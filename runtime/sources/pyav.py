"""Clips and streams decoded by FFmpeg through PyAV, which tells what it could not decode.

Imported where a clip is opened: PyAV loads slowly, and may not be installed.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import av

from edgecount.runtime.sources.aspect import SQUARE, pixel_ratio, square_size
from edgecount.runtime.sources.containers import PLAYLISTS, open_container, reason_of, video_track
from edgecount.runtime.sources.convert import ToPicture, deinterlaced
from edgecount.runtime.sources.decoders import (
    CHECKS,
    STRICTER_NAMES,
    StreamMatrix,
    accelerated,
    stricter,
)
from edgecount.runtime.sources.extent import cut_off, warn_of_another_recording
from edgecount.runtime.sources.faults import NoDecoderError, PermanentError, SizeError
from edgecount.runtime.sources.nvdec import NvdecDevice
from edgecount.runtime.sources.trust import FrameFilter

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np
    from av.codec.hwaccel import HWAccel
    from numpy.typing import NDArray
    from typing_extensions import Self

_MOST_THREADS = 4  # they decode far more than is counted, and each holds frames in memory
_MOST_FAILURES = 10  # reads in a row that fail, before a file is given up
_AHEAD = 2  # packets that are read before one is decoded, to tell whether it is whole
_FRAME_THREADS = 1 << 12  # AV_CODEC_CAP_FRAME_THREADS

# Decoders that, working on frames side by side, may hand one on before they find it damaged; and
# that look for damage less closely where they work on its slices side by side.
_LATE_MARKS = ("h264", "mpeg4")
_PAIRED = ("h264", "hevc")  # a frame for every packet, unless they are interlaced
# Containers that say how long they are, and whose length is not merely guessed at by FFmpeg.
_TIMED = ("matroska", "flv", "asf", "ogg", "mxf")
# At the end: containers round, some count hidden frames, and last frames may have no duration.
_TOLERATED_SECONDS = 0.4
_JITTER = 0.5  # s, by which the times of one recording may go back
_TOLERATED_SHARE = 0.01
# FFmpeg shows texts by their suffix, such as what a server has at /readme.txt, as a terminal would.
_TEXT = ("ansi", "bintext", "xbin", "idf")


class PyAVClip:
    """An open clip or stream. A context manager: leaving it closes the file.

    Frames that are damaged are left out, and with them those that may build on them, up to the
    next key frame. What a recording holds before its first key frame is left out silently: it has
    nothing to build on, and recordings may start anywhere.

    Args:
        url: a path or an address.
        name: how it is called in messages.
        accept_damaged: whether damaged frames are handed on too, as the decoder patches them.
        max_pixels: most pixels of a frame.
        options: FFmpeg's options for the file or protocol.
        device: kind of device that `url` is one of, such as "v4l2"; None: a file or an address.
        hardware: settings of devices to decode with, the first that works; the CPU if none does.
            Or NVDEC, whose frames stay on the GPU, as `NV12Frame`.
        timeout: seconds that opening and each read of a stream may take; None: a file.

    Raises:
        NoDecoderError: there is no decoder for it.
        SourceError: it cannot be opened otherwise, or its frames are larger.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        accept_damaged: bool,
        max_pixels: int,
        options: Mapping[str, str] | None = None,
        timeout: tuple[float, float] | None = None,
        device: str | None = None,
        hardware: Sequence[HWAccel] | NvdecDevice = (),
    ) -> None:
        self._name = name
        self._path = url.removeprefix("file:")
        self._accept_damaged = accept_damaged
        self._max_pixels = max_pixels
        self._is_file = timeout is None
        self._is_download = url.startswith(("http:", "https:"))
        self._is_strict = self._is_file and not accept_damaged
        self._deinterlaces_at_once = False
        self._shown: Fraction | None = None  # time stamp of the last picture, in seconds
        self._container = open_container(url, name, device=device, options=options, timeout=timeout)
        try:
            self._set_up(hardware)
        except BaseException:
            self._container.close()
            raise

    def _set_up(self, hardware: Sequence[HWAccel] | NvdecDevice) -> None:
        self._stream = video_track(self._container, self._name)
        self._codec: Any = getattr(self._stream, "codec_context", None)
        if self._codec is None:
            if self._stream is None:
                raise PermanentError(f"{self._name} cannot be opened as a video: none is in it")
            raise NoDecoderError(f"{self._name}: FFmpeg has no decoder for its video here")
        if self._codec.name in _TEXT:
            raise PermanentError(f"{self._name} cannot be opened as a video: it is a text")
        self._refuse_size(self._codec.width, self._codec.height)
        # FFmpeg's guess, which takes the codec's own where the container has none.
        ratio = self._stream.sample_aspect_ratio
        self._ratio, self._size = SQUARE, (0, 0)
        self._ratio_of_container = None if ratio == self._codec.sample_aspect_ratio else ratio
        if isinstance(hardware, NvdecDevice):
            self._codec = hardware.open(self._stream, self._name, live=not self._is_file)
        else:
            self._codec = accelerated(self._codec, hardware, self._name)
            self._codec = stricter(self._codec) if self._is_strict else self._codec
        # A second guard, with room for sides that are rounded up: sizes may change in a clip.
        options = {"max_pixels": str(self._max_pixels + (self._max_pixels >> 3) + 2**16)}
        own = self._stream.codec_context
        is_own = self._codec is own or isinstance(hardware, NvdecDevice)
        self._matrix = None if is_own else StreamMatrix(own, options.copy())
        if self._is_strict and self._codec.name in CHECKS:
            options["err_detect"] = CHECKS[self._codec.name]
        self._codec.options = options
        threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
        if self._codec.name in _LATE_MARKS and not self._accept_damaged:
            threads = 1
        self._codec.thread_count = threads
        delay = 0
        if self._is_file:  # frames that are decoded side by side come later: not of a camera
            self._codec.thread_type = "AUTO"
            capable = self._codec.codec.capabilities & _FRAME_THREADS
            delay = threads - 1 if capable else 0

        stamp = self._stream.start_time
        self._start = None if stamp is None else float(stamp * self._stream.time_base)
        self._index_at_open = len(self._stream.index_entries)
        self._filter = FrameFilter(
            self._stream.time_base,
            delay=delay,
            paired=self._is_file and self._codec.name in _PAIRED,
            keys_by_packet=self._codec.name in STRICTER_NAMES,
            accept_damaged=self._accept_damaged,
        )
        self._broken = ""  # why reading ended before the end
        self._read = 0  # number of packets of the video
        self._ends = 0.0  # end of all streams so far, in seconds
        self._end = 0  # of them in the file, in bytes
        self._last = 0.0  # time of the last frame that was handed on
        self._joined = 0.0  # s, by which times of the recording are later than its own

    @property
    def length(self) -> int | None:
        """Number of frames by the container, perhaps an estimate."""
        if self._is_indexed:
            return sum(not entry.is_discard for entry in self._stream.index_entries)
        if self._stream.frames:
            return int(self._stream.frames)
        seconds = self._seconds
        return round(seconds * self.fps) or None if seconds and self.fps else None

    @property
    def _seconds(self) -> float | None:
        """How long the video is, or else the file."""
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        # Matroska has the end of each track as a text, such as 00:00:01.023000000.
        parts = self._stream.metadata.get("DURATION", "").split(":")
        try:
            hours, minutes, seconds = (float(part) for part in parts)
        except ValueError:
            return self._container.duration / 1e6 if self._container.duration else None
        return 3600 * hours + 60 * minutes + seconds - (self._start or 0.0)

    @property
    def fps(self) -> float | None:
        """Mean frames per second by the container."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if rate else None

    @functools.cached_property
    def is_finite(self) -> bool:
        """Whether it has an end: a file, also one that comes over the network."""
        if self._is_file or not self._is_download:
            return self._is_file
        kind = self._container.format.name
        if kind.startswith(PLAYLISTS):  # their size is that of a list
            return bool(self._container.duration)
        has_end = self._container.duration or self._container.size > 0
        return bool(has_end) and kind != "mpjpeg"

    @property
    def given(self) -> int:
        """Number of frames that were handed on."""
        return self._filter.given

    def pictures(self) -> Generator[tuple[NDArray[np.uint8], int, float], None, None]:
        """Yield the frames in order, upright and progressive, with square pixels.

        Yields:
            The picture, uint8 (H, W, 3), BGR; its number among all frames that were decoded; and
            its time in seconds since the start.

        Raises:
            SourceError: a frame is larger than allowed.
        """
        numbers: deque[int] = deque()

        def numbered() -> Iterator[Any]:
            for frame, number in self._filter.whole(self._decoded()):
                self._refuse_size(frame.width, frame.height)
                numbers.append(number)
                yield frame

        to_picture = getattr(self._codec, "to_picture", None) or ToPicture(self._matrix)
        frames = deinterlaced(
            numbered(), self._stream.time_base, at_once=self._deinterlaces_at_once
        )
        for frame in frames:
            number = numbers.popleft()
            seconds = number / self.fps if self.fps else 0.0
            self._shown = None
            if frame.pts is not None:
                self._shown = frame.pts * (frame.time_base or self._stream.time_base)
                seconds = float(self._shown)
                self._start = seconds if self._start is None else self._start
                seconds = max(0.0, seconds - self._start)
            self._last = seconds = self._forward(seconds) if self.is_finite else seconds
            yield to_picture(frame, self._ratio_of(frame)), number, seconds

    def _forward(self, seconds: float) -> float:
        """Return the time of a frame of a file, which goes on where a recording begins anew."""
        back = self._last - (seconds + self._joined)
        if back > _JITTER:
            self._joined += back + (1.0 / self.fps if self.fps else 0.0)
        return max(self._last, seconds + self._joined)

    def _ratio_of(self, frame: Any) -> Fraction:
        """Return the width of a frame's pixels over their height.

        Raises:
            SizeError: with square pixels the frame is larger than allowed.
        """
        size = frame.width, frame.height
        # PyAV does not give a frame's own, and the decoder's may be that of frames to come. So it
        # is asked where a new one can begin: at most the frames after a key frame that comes just
        # before a change are early.
        if frame.key_frame or size != self._size:
            self._size = size
            ratio = self._ratio_of_container or self._codec.sample_aspect_ratio or SQUARE
            self._ratio = pixel_ratio(ratio.numerator, ratio.denominator)
            self._refuse_size(*square_size(*size, self._ratio))
        return self._ratio

    def fault(self) -> str:
        """Say what was wrong, once all pictures were taken; an empty text if nothing was."""
        damage = self._filter.damage()
        if damage.found + damage.lost == 0:
            reason = f" ({self._broken})" if self._broken else ""
            return f"{self._name} holds no frame that can be decoded{reason}"
        if self._is_file:
            kind = self._container.format.name
            warn_of_another_recording(self._path, self._name, kind, self._end)
        stops = self._early_end()
        # What was damaged where the file was cut is no news.
        sentence = "" if stops and (damage.first or 0.0) >= self._last else damage.sentence()
        if sentence and not self._accept_damaged:
            sentence += ". They were left out; set `accept_damaged` to take what there is of them"
        faults = "; it ".join(filter(None, (stops, sentence)))
        return f"{self._name} {faults}" if faults else ""

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise SizeError(
                f"{self._name} has frames of {width} x {height} pixels, expected at "
                f"most {self._max_pixels:,}: shrink it, or set `max_pixels` higher"
            )

    # From the file to frames.

    @property
    def _is_indexed(self) -> bool:
        """Whether the container lists its frames one by one."""
        kind = self._container.format.name
        return "mp4" in kind or ("avi" in kind and self._index_at_open > 1)

    def _packets(self) -> Iterator[Any]:
        """Yield the packets of the video, and read on after what is no packet."""
        # Of the other streams only the ends are of interest, which tell the end of the file.
        streams = (self._stream,) if self._is_indexed else tuple(self._container.streams)
        failures = 0
        while failures < (_MOST_FAILURES if self._is_file else 1):
            try:
                for packet in self._container.demux(*streams):
                    failures = 0
                    self._end = max(self._end, (packet.pos or 0) + packet.size)
                    if packet.pts is not None and packet.time_base:
                        end = (packet.pts + (packet.duration or 0)) * packet.time_base
                        self._ends = max(self._ends, float(end))
                    # The last packet is empty, and stands for the end.
                    is_video = packet.stream_index == self._stream.index
                    if is_video and (packet.size or packet.dts is not None):
                        yield packet
            except IndexError:  # noqa: PERF203
                return  # PyAV's, at the end, where streams have joined in between
            except av.FFmpegError as error:
                failures += 1
                self._broken = reason_of(error)
            else:
                return

    def _decoded(self) -> Iterator[Any]:
        """Yield all frames that the decoder gives, and note where it fails."""
        # A camera's packets are not waited for.
        ahead = _AHEAD if self._is_file else 0
        for packet, *following in _windows(self._packets(), ahead):
            self._read += 1
            if packet.size:  # an empty one would tell the decoder that the clip has ended
                self._filter.take_packet(packet, is_cut=_is_cut(packet, *following))
                yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: Any) -> Iterable[Any]:
        try:
            if self._matrix is not None:
                self._matrix.look(packet)
            frames: list[Any] = self._codec.decode(packet)
        except EOFError:
            return ()
        except av.FFmpegError as error:
            self._filter.take_error(reason_of(error))
            return ()
        return frames

    def _early_end(self) -> str:
        """Say that the file stops before its end; an empty text if it does not."""
        container, given = self._container, self.given
        size, duration = container.size, (container.duration or 0) / 1e6
        promised = self.length or 0
        # A body without a length ends like one that breaks off.
        broken = self._broken if self._is_file or size >= 0 else ""
        if self._is_indexed:
            beyond = size >= 0 and any(e.pos + e.size > size for e in self._stream.index_entries)
            stops = bool(beyond or broken)
        elif container.format.name == "avi":
            stops = self._read < (1 - _TOLERATED_SHARE) * self._stream.frames
        else:
            lacking = duration - self._ends if container.format.name.startswith(_TIMED) else 0.0
            stops = lacking > max(_TOLERATED_SECONDS, _TOLERATED_SHARE * duration)
            stops = stops or bool(broken) or (self._is_file and cut_off(self._path))
        if not stops:
            return ""
        of = f" of {promised}" if promised > given else ""
        reason = f" ({broken})" if broken else ""
        return f"stops after {given}{of} frames: it is damaged or cut off{reason}"


def _windows(packets: Iterator[Any], ahead: int) -> Iterator[list[Any]]:
    """Yield each packet with some of those after it, of which the last ones have fewer."""
    window: deque[Any] = deque()
    for packet in packets:
        window.append(packet)
        if len(window) > ahead:
            yield list(window)
            window.popleft()
    while window:
        yield list(window)
        window.popleft()


def _is_cut(*packets: Any) -> bool:
    """Return whether a part of the first packet, or of the one after it, is missing.

    A transport stream counts its parts. Where the count starts anew, and the time as well, two
    recordings were put into one file, and nothing is missing.
    """
    stamps = [packet.dts for packet in packets if packet.dts is not None]
    return bool(packets[0].is_corrupt) and stamps == sorted(stamps)
