"""H.264 and H.265 joined from packets: what is whole when, and what is never shown as whole."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import pytest

from clips import encode, picture
from edgecount.runtime.sources.live.joining import Joined, JoiningError, PictureJoiner

SIZE = 200  # bytes of a packet at most


@dataclass
class Part:
    """A packet of RTP as FFmpeg hands it on: a unit, or a part of one."""

    data: bytes
    pts: int
    time_base: Fraction = Fraction(1, 25)

    def __bytes__(self) -> bytes:
        return self.data


def pictures(codec: str, number: int, slices: int = 1, size: tuple[int, int] = (192, 128)) -> Any:
    """Return the units of each picture of a clip."""
    options = {"tune": "zerolatency", "preset": "ultrafast"}
    kind = "x264-params" if codec == "libx264" else "x265-params"
    options[kind] = f"slices={slices}:sliced-threads=0:log-level=error"
    form = "h264" if codec == "libx264" else "hevc"
    data = encode(codec, form, [picture(i, size) for i in range(number)], options=options)
    with av.open(io.BytesIO(data), format=form) as container:
        return [units(bytes(packet)) for packet in container.demux(video=0) if packet.size]


def units(data: bytes) -> list[bytes]:
    return [b"\0\0\0\1" + unit.rstrip(b"\0") for unit in data.split(b"\0\0\1") if unit.strip(b"\0")]


def parts(unit: bytes, stamp: int) -> Iterator[Part]:
    for begin in range(0, len(unit), SIZE):
        yield Part(unit[begin : begin + SIZE], stamp)


def packets(all_units: Iterable[list[bytes]]) -> list[list[Part]]:
    return [
        [part for unit in group for part in parts(unit, index)]
        for index, group in enumerate(all_units)
    ]


def join(groups: Iterable[list[Part]], codec: str = "h264") -> tuple[list[list[Joined]], int]:
    """Return what is whole after each picture's last packet, and what is left at the end."""
    joiner = PictureJoiner(codec)
    clock = itertools.count(step=0.001)
    given = []
    for group in groups:
        whole = [joined for part in group for joined in joiner.add(part, next(clock))]
        given.append(whole)
    return given, len(joiner.take())


@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize(("codec", "name"), [("libx264", "h264"), ("libx265", "hevc")])
def test_pictures_are_given_at_their_last_packet(codec: str, name: str, slices: int) -> None:
    groups = packets(pictures(codec, 30, slices))
    given, _ = join(groups, name)
    joined = [whole for wholes in given for whole in wholes]
    assert [whole.packet.pts for whole in joined] == list(range(len(joined)))
    assert len(joined) >= 29
    for whole, group in zip(joined, groups, strict=False):
        assert bytes(whole.packet) == b"".join(part.data for part in group)
    # At first with the next picture; then, but for the few whose last packet is a full one, alone.
    assert [len(wholes) for wholes in given[:8]] == [0] + [1] * 7
    at_once = [
        stamp for stamp, wholes in enumerate(given) if wholes and wholes[-1].packet.pts == stamp
    ]
    assert len(at_once) > 10
    keys = [whole.packet.pts for whole in joined if whole.packet.is_keyframe]
    assert keys[0] == 0
    assert len(keys) >= 4


def decoded(joined: list[Joined]) -> list[Any]:
    codec: Any = av.CodecContext.create("h264", "r")
    codec.thread_count = 1  # with more it tells no missing slices, as of files
    return [frame for whole in joined for frame in codec.decode(whole.packet)]


def test_a_picture_that_was_given_too_early_is_marked_as_damaged() -> None:
    """After twenty pictures of one slice come some of three: the first of these ends too early."""
    one, three = pictures("libx264", 20, 1), pictures("libx264", 16, 3)
    groups = packets(one + three)
    given, left = join(groups)
    joined = [whole for wholes in given for whole in wholes]
    stamps = [whole.packet.pts for whole in joined]
    assert stamps == [*range(21), *range(26, 36 - left)]  # number 26 is the next key frame
    frames = decoded(joined)
    assert [frame.pts for frame in frames if frame.is_corrupt] == [20]
    # From then on the next picture is waited for, and for longer than at first.
    assert all(
        not wholes or wholes[-1].packet.pts < stamp
        for stamp, wholes in enumerate(given)
        if stamp > 20
    )
    assert bytes(joined[21].packet) == b"".join(part.data for part in groups[26])


def test_the_number_of_slices_that_changes_all_the_time() -> None:
    one, three = pictures("libx264", 12, 1), pictures("libx264", 12, 3)
    groups = packets(list(itertools.chain.from_iterable(zip(one, three, strict=True))))
    given, _ = join(groups)
    joined = [whole for wholes in given for whole in wholes]
    for whole, group in zip(joined, groups, strict=False):
        assert bytes(whole.packet) == b"".join(part.data for part in group)


def test_times_that_stand_still_tell_no_pictures_apart() -> None:
    joiner = PictureJoiner("h264")
    joiner.add(Part(b"\0\0\0\1\x65" + bytes(20), 0), 5.0)
    for came in (5.5, 6.0, 6.4):
        assert joiner.add(Part(bytes(20), 0), came) == []
    with pytest.raises(JoiningError, match="stand still"):
        joiner.add(Part(bytes(20), 0), 6.6)


def test_a_network_that_pauses_within_a_picture() -> None:
    joiner = PictureJoiner("h264")
    unit = b"\0\0\0\1\x65" + bytes(20)
    for number, came in enumerate((5.0, 5.1, 8.0, 8.2)):
        assert joiner.add(Part(bytes(20) if number else unit, 0), came) == []
    (whole,) = joiner.add(Part(unit, 1), 8.3)
    assert bytes(whole.packet) == unit + 3 * bytes(20)


def test_key_frames_by_recovery_points() -> None:
    options = {"x264-params": "open-gop=1:keyint=8:bframes=0:intra-refresh=1"}
    data = encode("libx264", "h264", [picture(i) for i in range(20)], options=options)
    with av.open(io.BytesIO(data), format="h264") as container:
        groups = [units(bytes(packet)) for packet in container.demux(video=0) if packet.size]
    given, _ = join(packets(groups))
    keys = [whole.packet.pts for wholes in given for whole in wholes if whole.packet.is_keyframe]
    assert len(keys) >= 2
