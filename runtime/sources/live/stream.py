"""Live streams and devices decoded by FFmpeg through PyAV."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from edgecount.errors import SourceError
from edgecount.runtime.sources.containers import PLAYLISTS
from edgecount.runtime.sources.live.feed import Pace, PacketFeed
from edgecount.runtime.sources.live.joining import JoiningError, PictureJoiner
from edgecount.runtime.sources.pyav import PyAVClip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

# Formats without time stamps: FFmpeg makes some up, at 25 pictures per second.
_CLOCKLESS = ("mpjpeg", "mjpeg", "h264", "hevc", "rawvideo", "m4v", "image2pipe")
# Formats and codecs whose end of a picture FFmpeg knows by the start of the next one.
_JOINED = ("rtsp", "sdp", "rtp", "mpegts", "h264", "hevc", "m4v", "mpegvideo")
_JOINED_CODECS = ("h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video")
# Seconds that playlists, whose pictures come some seconds at a time, may be without any beyond what
# others may.
_SEGMENTS = 15.0
_FIRST_BURST = 2.0  # s that the pictures may last which came while the stream was looked at
_REMEMBERED = 512  # packets whose arrival is known, far more than any decoder keeps back


class LiveClip(PyAVClip):
    """An open live stream: read by a thread of its own, decoded without delay.

    What turns out to be a file with an end is read as `PyAVClip` reads it.

    Args:
        url: an address, or a device.
        name: how it is called in messages.
        newest: whether pictures may be skipped when the decoder falls behind.
        options: those of `PyAVClip`.

    Attributes:
        arrived: when the last picture came, by `time.monotonic`; None if it is a file.
        on_joining_error: called when its packets tell no pictures apart.
        patience: seconds that it may be without pictures beyond what is allowed.
    """

    arrived: float | None = None
    on_joining_error: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, url: str, name: str, *, newest: bool, **options: Any) -> None:
        self._feed: PacketFeed | None = None
        self._is_stopped = self._is_slow = False
        self._newest = newest
        super().__init__(url, name, **options)
        kind = self._container.format.name
        self._is_clockless = kind.startswith(_CLOCKLESS)
        self._is_segmented = kind.startswith(PLAYLISTS)
        self.patience = _SEGMENTS if self._is_segmented else 0.0
        # Who waits for the next field shows every picture one later.
        self._deinterlaces_at_once = newest and not self.is_finite
        self._arrivals: dict[Fraction, float] = {}
        self._left_behind = 0
        self._is_joined = kind.startswith(_JOINED) and self._codec.name in _JOINED_CODECS
        flags = (options.get("options") or {}).get("fflags", "")
        is_in_parts = "noparse" in flags and self.codec in ("h264", "hevc")
        self._joiner = PictureJoiner(self.codec) if is_in_parts else None

    @property
    def codec(self) -> str:
        """Name of the decoder."""
        return str(self._codec.name)

    @property
    def skipped(self) -> int:
        """Number of pictures that were not decoded."""
        return self._left_behind + (0 if self._feed is None else self._feed.skipped)

    @property
    def left_out(self) -> int:
        """Number of pictures that were damaged, or built on damaged ones."""
        torn = 0 if self._joiner is None else self._joiner.left_out
        return self._filter.left_out + torn

    def pictures(  # type: ignore[override]
        self,
    ) -> Generator[tuple[NDArray[np.uint8], int, float | None], None, None]:
        """Yield the pictures as they come; see `PyAVClip.pictures`.

        Their times are None where the stream has none.
        """
        first: Fraction | None = None
        begin = time.monotonic()
        is_burst = self._newest
        with closing(super().pictures()) as pictures:
            for image, number, seconds in pictures:
                if self.is_finite:
                    yield image, number, seconds
                    continue
                # What came while the stream was looked at is older than it seems.
                is_burst = is_burst and time.monotonic() < begin + _FIRST_BURST
                if is_burst and self._feed is not None and self._feed.is_waited_for:
                    self._left_behind += 1
                    continue
                is_burst = False
                stamp = self._shown
                self.arrived = self._arrivals.get(stamp, self.arrived) if stamp else self.arrived
                if stamp is None or self._is_clockless:
                    yield image, number, None
                    continue
                first = stamp if first is None else first
                yield image, number, float(stamp - first)

    def fault(self) -> str:
        """Say why a stream broke off, if FFmpeg says so; of a file see `PyAVClip.fault`."""
        if self.is_finite:
            fault = super().fault()
            if fault and self.given and self._accept_damaged:
                _log.warning("%s", fault)
                return ""
            return fault
        reason = f" ({self._broken})" if self._broken else ""
        if not self.given:
            return f"the stream {self._name} ended without a picture{reason}"
        return f"the stream {self._name} broke off{reason}" if reason else ""

    def stop(self) -> None:
        """Have `pictures` end, from any thread; a read that hangs ends when it returns."""
        self._is_stopped = True
        if self._feed is not None:
            self._feed.stop()

    def close(self) -> None:
        """Close the stream, once its read has returned."""
        if self._feed is not None:
            self._feed.stop()
            self._feed.join()
        super().close()

    def _packets(self) -> Iterator[Any]:
        if self.is_finite:
            yield from self._until_stopped(super()._packets())
            return
        self._feed = feed = PacketFeed(
            self._until_stopped(super()._packets()),
            newest=self._newest,
            intra_only=self._codec.codec.intra_only,
            is_joined=self._is_joined and self._joiner is None,
            due=Pace() if self._is_segmented else lambda _, now: now,
            joiner=self._joiner,
            name=f"edgecount-packets {self._name}",
        )
        if not self._is_segmented and not self._is_clockless:
            feed.settle()
        leading: int | None = None
        for arrived in feed:
            packet = arrived.packet
            if arrived.is_after_gap:
                self._tell_slowness()
                self._codec.flush_buffers()
                leading = packet.pts
            elif leading is not None and packet.pts is not None and packet.pts < leading:
                continue  # shown before the key frame, it may build on what was skipped
            else:
                leading = None
            self._note_arrival(packet, arrived.came)
            yield packet
        if isinstance(feed.error, JoiningError):
            self.on_joining_error()
            raise SourceError(f"the stream {self._name} is opened in another way: {feed.error}")
        if feed.error is not None and not self._is_stopped:
            raise feed.error

    def _tell_slowness(self) -> None:
        if not self._is_slow:
            self._is_slow = True
            _log.warning(
                "%s comes faster than it can be decoded: pictures up to key frames are skipped",
                self._name,
            )

    def _until_stopped(self, packets: Iterator[Any]) -> Iterator[Any]:
        for packet in packets:
            if self._is_stopped:
                return
            yield packet

    def _note_arrival(self, packet: Any, arrived: float) -> None:
        self.arrived = arrived
        if packet.pts is None or not packet.time_base:
            return
        self._arrivals[packet.pts * packet.time_base] = arrived
        if len(self._arrivals) > 2 * _REMEMBERED:
            self._arrivals = dict(list(self._arrivals.items())[_REMEMBERED:])
