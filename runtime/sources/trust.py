"""Which decoded frames can be trusted: those that are whole, and build on whole ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from edgecount.runtime.sources.damage import Damage

if TYPE_CHECKING:
    from fractions import Fraction

_B = 3  # AVPictureType: predicted from a later frame too
_LONGEST = 256  # packets that are remembered, far more than any decoder keeps back


class FrameFilter:
    """A filter of the frames of a decoder, which notes what is lost.

    Left out are damaged frames, those that may build on them, and what comes before the first key
    frame with nothing to build on. A frame may build on another one if it was decoded later, and
    no key frame was decoded in between.

    Args:
        time_base: unit of time stamps, in seconds.
        delay: number of packets that the decoder takes in before it says what is wrong with one.
        paired: whether every packet gives a frame, unless it is half a frame.
        keys_by_packet: whether packets tell the key frames, of which the decoder says nothing.
        accept_damaged: whether damage is noted only.
    """

    def __init__(
        self,
        time_base: Fraction,
        *,
        delay: int,
        paired: bool,
        keys_by_packet: bool,
        accept_damaged: bool,
    ) -> None:
        self._time_base = time_base
        self._paired = paired
        self._keys_by_packet = keys_by_packet
        self._accept_damaged = accept_damaged
        self._damage = Damage()
        self._start = 0.0
        self._headless: bool | None = None  # whether the first packet is no key frame
        self._first_key: int | None = None  # time stamp of the first packet that is one
        self._keys: set[int | None] = set()
        self._begun = False  # whether a later frame has come; time stamps may start anew after it
        self._failures = 0  # of the decoder
        self._packets = 0
        self._places: dict[int, int] = {}  # of time stamps in the order of decoding
        # Of the packets that the decoder works on: what it says is about the first of them.
        self._in_work: deque[int | None] = deque(maxlen=delay + 1)
        self._cut: set[int | None] = set()  # of packets that are not whole, and not yet frames
        self._awaited: set[int | None] = set()  # of packets whose frames have not come
        # Places of the first and last damage that frames may build on; None if they do not.
        self._doubt: tuple[int, int] | None = None

    def take_packet(self, packet: Any, *, is_cut: bool) -> None:
        """Note a packet that goes to the decoder."""
        stamp = packet.pts
        if self._headless is None:
            self._headless = not packet.is_keyframe
            self._start = self._seconds(stamp)
        if packet.is_keyframe and self._first_key is None:
            self._first_key = 0 if stamp is None else stamp
        if packet.is_keyframe and self._keys_by_packet:
            self._keys.add(stamp)
        self._packets += 1
        self._in_work.append(stamp)
        if stamp is not None:
            self._places[stamp] = self._packets
            if len(self._places) > 2 * _LONGEST:
                self._places = dict(list(self._places.items())[_LONGEST:])
            if self._paired and not packet.is_discard:
                self._awaited.add(stamp)
        if is_cut and not self._is_before_start(stamp):
            if len(self._cut) > _LONGEST and not self._paired:
                self._cut.clear()  # of a stream that loses packets for months
            self._cut.add(stamp)
            # Of a transport stream it may be a part of this packet or of the next one.
            self._note_damage(stamp, "a part of the file is missing", further=1)

    def take_error(self, reason: str) -> None:
        """Note that the decoder failed."""
        stamp = self._in_work[0] if self._in_work else None
        if not self._is_before_start(stamp):
            self._failures += 1
            self._note_damage(stamp, reason)

    def whole(self, frames: Iterable[Any]) -> Iterator[tuple[Any, int]]:
        """Yield the frames that can be trusted, each with its number among all of them."""
        held: list[tuple[Any, int]] = []  # B frames, until the one after them is there
        number = -1
        for frame in frames:
            if not self._take_frame(frame):
                continue
            number += 1
            if self._ends_doubt(frame):
                yield from self._trusted(held)
                held.clear()
                self._doubt = None
            held.append((frame, number))
            if self._judge(frame) and frame.pict_type == _B and not self._accept_damaged:
                continue  # it may build on the next one
            yield from self._trusted(held)
            held.clear()
        yield from self._trusted(held)

    def damage(self) -> Damage:
        """Return the account, once all frames were taken."""
        missing = self._cut | self._awaited if self._paired else self._cut
        self._damage.lost = max(self._failures, len(missing))
        return self._damage

    @property
    def left_out(self) -> int:
        """Number of frames so far that are damaged, or doubtful because they build on one."""
        return self._damage.left_out + self._failures

    @property
    def given(self) -> int:
        """Number of frames that were handed on."""
        return self._damage.given

    def _take_frame(self, frame: Any) -> bool:
        """Note a frame; returns whether it is one of the clip."""
        stamp = frame.pts
        self._awaited.discard(stamp)
        if frame.interlaced_frame:
            self._paired = False  # a packet may hold one field
        if self._is_before_start(stamp) and not self._is_key(frame):
            if self._headless or self._is_damaged(frame):
                return False
        elif self._damage.found == 0 and stamp is not None:  # frames before it will not come
            self._awaited = {awaited for awaited in self._awaited if awaited > stamp}
        self._begun = self._begun or stamp is None or stamp > (self._first_key or 0)
        return True

    def _is_before_start(self, stamp: int | None) -> bool:
        """Return whether a frame is shown before the first key frame."""
        if self._first_key is None or self._begun or stamp is None:
            return self._first_key is None
        return stamp < self._first_key

    def _is_damaged(self, frame: Any) -> bool:
        return bool(frame.is_corrupt or frame.pts in self._cut)

    def _is_key(self, frame: Any) -> bool:
        return bool(frame.key_frame or frame.pts in self._keys)

    def _ends_doubt(self, frame: Any) -> bool:
        """Return whether a frame is a key frame that was decoded after all damage so far."""
        if self._doubt is None or not self._is_key(frame) or self._is_damaged(frame):
            return False
        return self._places.get(frame.pts, self._packets) > self._doubt[1]

    def _judge(self, frame: Any) -> bool:
        """Return whether a frame is not damaged itself, and note it if it is."""
        if not self._is_damaged(frame):
            return True
        self._cut.discard(frame.pts)
        self._damage.marked += 1
        self._note_damage(frame.pts, "the decoder marks frames as damaged")
        return False

    def _note_damage(self, stamp: int | None, reason: str, *, further: int = 0) -> None:
        self._damage.note(max(0.0, self._seconds(stamp) - self._start), reason)
        if not self._accept_damaged:
            place = self._packets if stamp is None else self._places.get(stamp, self._packets)
            first, last = self._doubt or (place, place)
            self._doubt = min(first, place), max(last, place + further)

    def _trusted(self, held: list[tuple[Any, int]]) -> Iterator[tuple[Any, int]]:
        """Yield the frames that were decoded before there was any doubt."""
        for frame, number in held:
            if self._doubt and self._places.get(frame.pts, self._packets) >= self._doubt[0]:
                self._damage.left_out += 1
            else:
                self._damage.given += 1
                yield frame, number

    def _seconds(self, stamp: int | None) -> float:
        return 0.0 if stamp is None else float(stamp * self._time_base)
