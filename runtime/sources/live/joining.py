"""Pictures of H.264 and H.265 joined from the packets of RTP that they came in.

FFmpeg's parsers know that a picture is whole when the next one begins, which makes each of them
one picture's time old. Here it is whole when it has as many slices as those before it, and its last
packet is shorter than the parts are into which long slices are cut. Where that does not hold of a
camera, the next picture is waited for.

Source: RFC 6184, sections 5.6 to 5.8, and RFC 7798, section 4.4 (units, and parts of units).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import av

from edgecount.errors import SourceError

_START = re.compile(rb"\x00\x00\x01(?=.)", re.DOTALL)  # of a unit, which holds no such bytes itself
_RECOVERY_POINT = 6  # a kind of message
_OBSERVED = 8  # pictures whose ends are foretold rightly, before one is given by that
_CAUTION = 8  # times as many after one that was given too early
_ROOM = 8  # bytes by which the parts of a slice may differ, but for its last one: of its header
_MOST = 1 << 26  # bytes of a picture, far more than any has
_LONGEST = 1.0  # s from the first to the last packet of a picture, but for one gap of the network


class JoiningError(SourceError):
    """Packets that tell no pictures apart."""


@dataclass(frozen=True)
class Joined:
    """A whole picture.

    Attributes:
        packet: an `av.Packet`.
        came: when its last part came.
    """

    packet: Any
    came: float


@dataclass
class _Picture:
    """The packets of a picture so far."""

    first: Any
    parts: list[bytes] = field(default_factory=list)
    size: int = 0  # bytes
    came: float = 0.0  # when the last one came
    begin: float = 0.0  # and the first one
    gap: float = 0.0  # s, the longest between two of them
    is_key: bool = False
    slices: int = 0
    end: int | None = None  # number of packets after which it was foretold to be whole


class PictureJoiner:
    """A joiner of pictures.

    Args:
        codec: "h264" or "hevc".

    Attributes:
        left_out: pictures that build on one which was given too early, up to the next key frame.
    """

    def __init__(self, codec: str) -> None:
        self._kind = _h264_kind if codec == "h264" else _hevc_kind
        self._picture: _Picture | None = None
        self._longest = 0  # bytes of a packet
        self._slices = 0  # of a picture
        self._foretold = 0  # pictures in a row whose ends were foretold rightly
        self._needed = _OBSERVED
        self._is_torn = False  # since a picture was given too early
        self.left_out = 0
        self._given: int | None = None  # time stamp of the picture that was given before its end

    def add(self, packet: Any, now: float) -> list[Joined]:
        """Add a packet that came now; returns the pictures that are whole by it.

        Raises:
            JoiningError: the packets of one time stamp come for so long that it is no picture's.
        """
        stamp = packet.pts
        if stamp is not None and stamp == self._given:
            if not self._is_torn:
                self._is_torn = True
                self._foretold = 0
                self._needed *= _CAUTION
            return []
        whole = []
        picture = self._picture
        if picture is not None and (stamp != picture.first.pts or picture.size > _MOST):
            self._judge(picture)
            whole += self.take()
        if self._picture is None:
            self._picture = _Picture(packet, begin=now, came=now)
        self._refuse_a_long_one(self._picture, now)
        if self._note(self._picture, bytes(packet), now) and self._foretold >= self._needed:
            self._given = stamp
            whole += self.take()
        return whole

    def take(self) -> list[Joined]:
        """Return the picture at hand, if there is one."""
        picture, self._picture = self._picture, None
        if picture is None:
            return []
        self._is_torn &= not picture.is_key
        if self._is_torn:
            self.left_out += 1
            return []
        packet: Any = av.Packet(b"".join(picture.parts))
        packet.pts, packet.time_base = picture.first.pts, picture.first.time_base
        packet.is_keyframe = picture.is_key
        return [Joined(packet, picture.came)]

    @staticmethod
    def _refuse_a_long_one(picture: _Picture, now: float) -> None:
        picture.gap = max(picture.gap, now - picture.came)
        if now - picture.begin - picture.gap > _LONGEST:
            raise JoiningError("its time stamps stand still")

    def _note(self, picture: _Picture, data: bytes, now: float) -> bool:
        """Add a packet to a picture; returns whether it seems whole."""
        picture.parts.append(data)
        picture.size += len(data)
        picture.came = now
        self._longest = max(self._longest, len(data))
        for start in _START.finditer(data):
            is_slice, is_key = self._kind(data[start.end() :])
            picture.slices += is_slice
            picture.is_key |= is_key
        ends_unit = len(data) + _ROOM < self._longest
        if picture.end is None and ends_unit and picture.slices == self._slices > 0:
            picture.end = len(picture.parts)
        return picture.end == len(picture.parts)

    def _judge(self, picture: _Picture) -> None:
        """Compare what was foretold of a picture with what came."""
        is_right = picture.end is None or picture.end == len(picture.parts)
        is_alike = picture.slices == self._slices
        self._slices = picture.slices
        self._foretold = self._foretold + 1 if is_right and is_alike else 0


def _h264_kind(unit: bytes) -> tuple[bool, bool]:
    """Return whether a unit is a slice of a picture, and whether it tells a key frame.

    Source: Rec. ITU-T H.264, table 7-1, and D.1.8 (recovery points).
    """
    kind = unit[0] & 0x1F
    return 1 <= kind <= 5, kind == 5 or (kind == 6 and _has_recovery_point(unit[1:]))


def _has_recovery_point(messages: bytes) -> bool:
    """Return whether the decoder may start here, by the supplemental information of a picture."""
    at, numbers = 0, [0, 0]
    while at + 1 < len(messages):
        for place in range(2):  # the kind of a message, and its size: bytes of 255, and the rest
            numbers[place] = 0
            while at < len(messages):
                at += 1
                numbers[place] += messages[at - 1]
                if messages[at - 1] != 0xFF:
                    break
        if numbers[0] == _RECOVERY_POINT:
            return True
        at += numbers[1]
    return False


def _hevc_kind(unit: bytes) -> tuple[bool, bool]:
    """Return the same for H.265. Source: Rec. ITU-T H.265, table 7-1."""
    kind = unit[0] >> 1 & 0x3F
    return kind < 32, 16 <= kind <= 23
