"""The packets of a stream, read by a thread that never waits for the decoder."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from edgecount.runtime.sources.live.joining import Joined, PictureJoiner

_LATE = 0.5  # s that a packet may wait for the decoder, before those up to a key frame are skipped
_TOO_LATE = 2.0  # s, before that is done though no key frame has come yet
_CALM, _SETTLING = 0.03, 0.3  # s without a packet that end the first ones, and at most
_MOST = 32  # packets that wait where none is skipped: then the camera has to wait


@dataclasses.dataclass(frozen=True)
class Arrived:
    """A packet that has come.

    Attributes:
        packet: an `av.Packet`.
        due: when it was given out by `time.monotonic`, or when it is to be shown if that is later.
        came: when it came.
        is_after_gap: whether packets before it were skipped.
    """

    packet: Any
    due: float
    came: float
    is_after_gap: bool = False


class PacketFeed:
    """A thread that reads packets, so that they pile up where one can see them: not in sockets.

    A decoder that is slower than the camera falls behind, without end. When only the newest
    picture counts, the packets up to the latest key frame are skipped then; of formats that have
    nothing but key frames, all but the last one.

    Args:
        packets: read in the thread, which also closes them.
        newest: whether packets may be skipped; if not, the thread waits when many are there.
        intra_only: whether each packet is a picture by itself.
        is_joined: whether a packet is given out when the next one begins: it came a packet before.
        due: gives the moment when a packet is to be shown, from that when it was given out.
        joiner: joins pictures from packets that are parts of them.
        name: name of the thread.

    Attributes:
        skipped: number of packets that were skipped.
        error: what ended the reading; None if it came to its end.
    """

    def __init__(
        self,
        packets: Iterable[Any],
        *,
        newest: bool,
        intra_only: bool,
        is_joined: bool = False,
        due: Callable[[Any, float], float] = lambda _, now: now,
        joiner: PictureJoiner | None = None,
        name: str = "edgecount-packets",
    ) -> None:
        self._packets = packets
        self._newest = newest
        self._intra_only = intra_only
        self._is_joined = is_joined
        self._due = due
        self._joiner = joiner
        self._changed = threading.Condition()
        self._waiting: deque[Arrived] = deque()
        self._is_stopped = self._has_ended = False
        self._before: float | None = None  # when the last packet was given out
        self._skips = False  # until the next key frame
        self._read = 0  # number of packets
        self.skipped = 0
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_waited_for(self) -> bool:
        """Whether packets wait for the decoder."""
        return bool(self._waiting)

    def settle(self) -> None:
        """Wait until no more packets lie ready, and note when those there came.

        They came while the stream was looked at, and seem to have come at once. The last of them,
        which had to be waited for, tells when the others did.
        """
        end = time.monotonic() + _SETTLING
        with self._changed:
            number = -1
            while number < self._read and time.monotonic() < end and not self._is_over:
                number = self._read
                self._changed.wait(_CALM)
            stamps = [_media(item.packet) for item in self._waiting]
            delays = [
                item.came - media
                for item, media in zip(self._waiting, stamps, strict=True)
                if media is not None
            ]
            for place, (item, media) in enumerate(zip(self._waiting, stamps, strict=True)):
                if media is not None:
                    came = min(item.came, media + min(delays))
                    self._waiting[place] = dataclasses.replace(item, came=came)

    def stop(self) -> None:
        """Have the thread end when its read returns, and the packets at once."""
        with self._changed:
            self._is_stopped = True
            self._waiting.clear()
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until the thread has ended, which takes as long as a read may."""
        self._thread.join()

    def __iter__(self) -> Iterator[Arrived]:
        """Yield the packets as they are due, those that are not skipped."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_over)
                if not self._waiting:
                    return
                early = self._waiting[0].due - time.monotonic()
                if early > 0:
                    self._changed.wait(early)
                    continue
                is_after_gap = self._newest and self._catch_up()
                if not self._waiting:
                    continue
                item = self._waiting.popleft()
                self._changed.notify_all()
            yield dataclasses.replace(item, is_after_gap=is_after_gap)

    @property
    def _is_over(self) -> bool:
        return self._is_stopped or self._has_ended

    def _run(self) -> None:
        try:
            for packet in self._packets:
                with self._changed:
                    if not self._newest:
                        self._changed.wait_for(
                            lambda: self._is_stopped or len(self._waiting) < _MOST
                        )
                    if self._is_stopped:
                        return
                    self._add(packet, time.monotonic())
                    self._changed.notify_all()
            with self._changed:
                self._take([] if self._joiner is None else self._joiner.take())
        except BaseException as error:  # noqa: BLE001 (looked at by who takes the packets)
            self.error = error
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def _add(self, packet: Any, now: float) -> None:
        self._read += 1
        if self._joiner is None:
            due = self._due(packet, now)
            before = self._before if self._is_joined else None
            self._waiting.append(Arrived(packet, due, due if before is None else before))
            self._before = now
        else:
            self._take(self._joiner.add(packet, now))

    def _take(self, pictures: Iterable[Joined]) -> None:
        for joined in pictures:
            self._waiting.append(Arrived(joined.packet, joined.came, joined.came))

    def _catch_up(self) -> bool:
        """Skip what is too late; returns whether the next packet comes after a gap."""
        before = self.skipped
        now = time.monotonic()
        if self._intra_only:
            while len(self._waiting) > 1 and self._waiting[1].due <= now:
                self._skip(1)
            return False  # nothing builds on what was skipped
        late = now - self._waiting[0].due
        if late > _LATE and not self._skips:
            keys = [place for place, item in enumerate(self._waiting) if item.packet.is_keyframe]
            self._skip(keys[-1] if keys else 0)
            # Without a key frame the decoder may still catch up by itself.
            self._skips = not keys and late > _TOO_LATE
        was_skipping = self._skips
        while self._skips and self._waiting:
            if self._waiting[0].packet.is_keyframe:
                self._skips = False
            else:
                self._skip(1)
        return self.skipped > before or (was_skipping and bool(self._waiting))

    def _skip(self, number: int) -> None:
        for _ in range(number):
            self._waiting.popleft()
        self.skipped += number


def _media(packet: Any) -> float | None:
    """Return the time stamp of a packet in seconds."""
    stamp = packet.pts
    return None if stamp is None or not packet.time_base else float(stamp * packet.time_base)


class Pace:
    """The moments when packets are to be shown, which come in bursts of several seconds.

    Args:
        most: seconds that a packet may be ahead, or behind, of its time.
    """

    def __init__(self, most: float = 30.0) -> None:
        self._most = most
        self._offset: float | None = None

    def __call__(self, packet: Any, now: float) -> float:
        """Return when a packet is due that came now."""
        if packet.dts is None or not packet.time_base:
            return now
        media = float(packet.dts * packet.time_base)
        due = now if self._offset is None else media + self._offset
        if self._offset is None or not now <= due <= now + self._most:
            self._offset = now - media  # the first one, or they came too late: then from now on
            due = now
        return due
