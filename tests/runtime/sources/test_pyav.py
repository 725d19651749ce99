"""Clips through PyAV: damage, cuts, interlacing, orientation, sizes, times."""

from __future__ import annotations

import logging
import random
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clips import GOP, TICKS, TURNS, encode, packet_places, picture, remux, turned
from edgecount.errors import SourceError
from edgecount.runtime.sources.base import Frame
from edgecount.runtime.sources.pyav import PyAVClip
from edgecount.runtime.sources.video import VideoSource


def read(path: Path, **options: Any) -> tuple[list[Frame], str]:
    """Return the frames of a clip, and the error."""
    frames: list[Frame] = []
    try:
        frames.extend(VideoSource(path, **options).frames())
    except SourceError as error:
        return frames, str(error)
    return frames, ""


def pictures(number: int) -> list[Any]:
    return [picture(index) for index in range(number)]


def assert_like(frames: list[Frame], indices: Any) -> None:
    """Compare by brightness: a frame differs from the next by 4 grey levels."""
    got = [float(frame.image[32:].mean()) for frame in frames]
    np.testing.assert_allclose(got, [picture(i)[32:].mean() for i in indices], atol=2.5)


def test_a_whole_clip(write, h264):
    path = write("a.mp4", h264)
    frames, error = read(path)
    assert error == ""
    assert (VideoSource(path).length, VideoSource(path).fps) == (25, 25.0)
    assert_like(frames, range(25))
    assert [frame.index for frame in frames] == list(range(25))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(25) / 25, atol=1e-6)
    assert all(frame.image.flags.c_contiguous and frame.image.flags.writeable for frame in frames)


# Damage.


def test_a_damaged_packet_costs_no_more_than_its_group(write, h264):
    start, _ = packet_places(h264)[2 * GOP]  # a key frame
    path = write("a.mp4", h264[:start] + b"\xff" * 8 + h264[start + 8 :])
    frames, error = read(path)
    assert 25 - GOP - 4 <= len(frames) <= 25 - GOP
    assert_like(frames, [round(frame.time * 25) for frame in frames])
    assert "is damaged: " in error
    assert f"{25 - len(frames)} of 25 frames are lost, damaged or built on damaged ones" in error
    assert "set `accept_damaged`" in error


def test_damage_is_accepted_if_asked(write, h264, caplog):
    start, size = packet_places(h264)[1]
    data = bytearray(h264)
    for at in range(start + size // 2, start + size - 4, 7):
        data[at] ^= 0x55
    path = write("a.mp4", bytes(data))
    frames, error = read(path)
    assert "is damaged" in error
    all_frames, error = read(path, accept_damaged=True)
    assert error == ""
    assert len(frames) < len(all_frames) == 25
    assert "a.mp4 is damaged: 1 of 25 frames is lost or damaged, from 0." in caplog.text


@pytest.mark.parametrize(
    ("codec", "container"), [("libx264", "mp4"), ("mpeg4", "avi"), ("mpeg2video", "mpegts")]
)
def test_flipped_bits_do_not_pass_without_a_word(write, codec, container):
    """A few wrong frames do, with the error: what decodes as well after a flip cannot be told."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-20, 20, (64, 96, 3))
    images = [np.clip(picture(i) + np.roll(noise, i), 0, 255).astype(np.uint8) for i in range(13)]
    data = encode(codec, container, images, options={"b": "900000"})
    whole = {round(f.time, 3): f.image for f in read(write(f"a.{container}", data))[0]}
    given = wrong = 0
    for seed in range(6):
        flips = random.Random(seed)  # noqa: S311
        bad = bytearray(data)
        for _ in range(20):
            bad[flips.randrange(1000, len(bad) - 900)] ^= 1 << flips.randrange(8)
        frames, error = read(write(f"b.{container}", bytes(bad)))
        assert "is damaged" in error or "holds no frame" in error
        given += len(frames)
        for frame in frames:
            wrong += np.abs(frame.image.astype(int) - whole[round(frame.time, 3)]).mean() > 3
    assert given < 0.6 * 6 * 13
    assert wrong < 0.1 * 6 * 13


@pytest.mark.parametrize("timeout", [None, 10.0])  # of a file, and of a stream
def test_half_a_picture_at_the_end_is_told(write, timeout):
    """Each time, however many threads decode: a frame must not be handed on before it is whole."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-60, 60, (64, 96, 3))
    images = [np.clip(picture(i) + np.roll(noise, i), 0, 255).astype(np.uint8) for i in range(2)]
    data = encode("libx264", "h264", images)
    path = write("a.h264", data[: len(data) * 9 // 10])
    for _ in range(5):
        with PyAVClip(
            f"file:{path}", "a", accept_damaged=False, max_pixels=10_000, timeout=timeout
        ) as clip:
            assert len(list(clip.pictures())) == 1
            assert "1 of 2 frames is lost or damaged" in clip.fault()


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_hole_in_a_transport_stream(write, codec):
    rng = np.random.default_rng(0)
    noise = rng.integers(-20, 20, (64, 96, 3))
    images = [np.clip(picture(i) + np.roll(noise, i), 0, 255).astype(np.uint8) for i in range(25)]
    data = encode(codec, "mpegts", images, options={"b": "900000", "bf": "2"})
    whole = {round(f.time, 3): f.image for f in read(write("a.ts", data))[0]}
    for part in range(4, 10):
        at = 188 * (part * len(data) // 188 // 11)
        frames, error = read(write("b.ts", data[:at] + data[at + 188 * (part - 3) :]))
        assert 8 < len(frames) < 25
        assert "is damaged" in error
        for frame in frames:
            assert np.abs(frame.image.astype(int) - whole[round(frame.time, 3)]).mean() < 3


def test_two_recordings_in_one_transport_stream(write):
    data = encode("mpeg2video", "mpegts", pictures(9), options={"bf": "2"})
    frames, error = read(write("a.ts", data + data))
    assert (len(frames), error) == (18, "")
    assert_like(frames, [*range(9), *range(9)])


def test_damage_of_vp9_is_noticed_by_libvpx(write):
    images = [np.random.default_rng(i).integers(0, 200, (64, 96, 3), np.uint8) for i in range(9)]
    options = {"deadline": "realtime", "cpu-used": "8", "b": "900000"}
    data = encode("libvpx-vp9", "webm", images, options=options)
    assert len(read(write("a.webm", data))[0]) == 9
    start, size = packet_places(data)[4]
    bad = data[: start + size // 2] + bytes(24) + data[start + size // 2 + 24 :]
    frames, error = read(write("b.webm", bad))
    assert 4 <= len(frames) < 9
    assert "is damaged" in error


# Files that are cut, and files that only look like it.


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize(("container", "name"), [("matroska", "a.mkv"), ("mp4", "a.mp4")])
def test_a_cut_file(write, h264, container, name, share):
    options = {"movflags": "frag_keyframe+empty_moov"} if container == "mp4" else {}
    data = remux(h264, container, 0, **options)
    frames, error = read(write(name, data[: int(share * len(data))]))
    assert 0 < len(frames) < 25
    assert_like(frames, range(len(frames)))
    assert f"{name} stops after {len(frames)} " in error or "is damaged" in error


def test_a_cut_gif(write):
    data = encode("gif", "gif", pictures(5), pixels="rgb8")
    frames, error = read(write("a.gif", data))
    assert (len(frames), error) == (5, "")
    frames, error = read(write("b.gif", data[: len(data) // 2]))
    assert "b.gif stops after" in error


def test_an_edit_list_hides_frames(write, h264):
    per_frame = TICKS // 25
    data = remux(h264, "mp4", GOP, shift=(GOP + 2) * per_frame)
    path = write("a.mp4", data)
    frames, error = read(path)
    assert error == ""
    assert len(frames) == VideoSource(path).length == 25 - GOP - 2
    assert_like(frames, range(GOP + 2, 25))
    assert frames[0].time == 0


@pytest.mark.parametrize(("container", "name"), [("matroska", "a.mkv"), ("mpegts", "a.ts")])
def test_sound_that_lasts_longer(write, container, name):
    data = encode("libx264", container, pictures(10), sound=3.0, options={"preset": "ultrafast"})
    path = write(name, data)
    frames, error = read(path)
    assert (len(frames), error) == (10, "")
    assert VideoSource(path).length == pytest.approx(10, abs=1)


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video", "mpeg4"])
def test_a_recording_that_starts_between_key_frames(write, codec):
    data = encode(codec, "mpegts", pictures(25), options={"bf": "2"})
    frames, error = read(write("a.ts", data[188 * 6 :]))
    assert error == ""
    first = round((frames[0].image[32:].mean() - picture(0)[32:].mean()) / 4)
    assert 0 < first <= 3 * GOP
    assert_like(frames, range(first, 25))


def test_a_cut_at_an_open_group(write):
    options = {"x264-params": f"open-gop=1:keyint={GOP}:bframes=2:scenecut=0"}
    data = encode("libx264", "mp4", pictures(25), options=options)
    for first in (GOP - 2, GOP, GOP + 2):
        frames, error = read(write("a.mkv", remux(data, "matroska", first)))
        assert error == ""
        assert len(frames) > 8
        assert_like(frames, range(25 - len(frames), 25))


@pytest.mark.parametrize("claim", [3, 90])
def test_an_avi_with_a_wrong_number_of_frames(write, claim):
    data = bytearray(encode("mjpeg", "avi", pictures(10), pixels="yuvj420p"))
    for chunk, field in ((b"avih", 16), (b"strh", 32)):
        struct.pack_into("<I", data, bytes(data).index(chunk) + 8 + field, claim)
    path = write("a.avi", bytes(data))
    assert (len(read(path)[0]), read(path)[1]) == (10, "")


def test_a_stream_of_jpegs(write):
    data = encode("mjpeg", "mjpeg", pictures(7), pixels="yuvj420p")
    frames, error = read(write("a.mjpeg", data))
    assert (len(frames), error) == (7, "")


# Pictures.


@pytest.mark.parametrize(
    ("codec", "container", "pixels", "options"),
    [
        ("mpeg2video", "mpegts", "yuv420p", {"flags": "+ildct+ilme", "b": "2000000"}),
        ("libx264", "mp4", "yuv420p", {"flags": "+ildct+ilme"}),
        ("prores_ks", "mov", "yuv422p10le", {"flags": "+ildct"}),
        ("ffv1", "matroska", "yuv420p", {}),
    ],
)
def test_interlaced_clips(write, codec, container, pixels, options):
    """Frames give one picture each, without combs: a moving edge's fields lie 12 pixels apart."""
    images = []
    for index in range(8):
        image = picture(index)
        for line in range(64):
            edge = 40 + 24 * (index % 2) + 12 * (line % 2)
            image[line, edge:] = 220
        images.append(image)
    data = encode(codec, container, images, pixels=pixels, options=options, interlaced=True)
    frames, error = read(write("a.bin", data))
    assert (len(frames), error) == (8, "")
    np.testing.assert_allclose([f.time for f in frames], np.arange(8) / 25, atol=1e-3)
    for frame, image in zip(frames, images, strict=True):
        picture_, wanted = frame.image.astype(int), image.astype(int)
        assert abs(picture_[20:].mean() - wanted[20:].mean()) < 12
        combs = np.abs(np.diff(picture_[20:60, 40:80, 0], axis=0)).mean()
        assert combs < 0.5 * np.abs(np.diff(wanted[20:60, 40:80, 0], axis=0)).mean()


@pytest.mark.parametrize("turn", TURNS)
def test_the_orientation_of_a_track(write, h264, turn):
    matrix, shown = TURNS[turn]
    frames, error = read(write("a.mp4", turned(h264, matrix)))
    assert error == ""
    wanted = shown(picture(0)).astype(int)
    assert frames[0].image.shape == wanted.shape
    assert np.abs(frames[0].image - wanted).mean() < 3


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv422p10le", "gray16le", "gbrp10le", "bgra"])
def test_pixel_formats(write, pixels):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48] = (200, 200, 200) if pixels.startswith("gray") else (30, 90, 200)
    frames, _ = read(write("a.mkv", encode("ffv1", "matroska", [image], pixels=pixels)))
    np.testing.assert_allclose(frames[0].image[:, 4:44], image[:, 4:44], atol=2)
    np.testing.assert_allclose(frames[0].image[:, 52:], 0, atol=2)


def test_hdr_by_pq_is_shown_as_sdr(write):
    """Source of PQ: SMPTE ST 2084; white is 203 cd/m2."""
    sdr = picture(3)  # its levels are those of BT.709
    signal = sdr / 255
    light = np.where(signal < 0.081, signal / 4.5, ((signal + 0.099) / 1.099) ** (1 / 0.45))
    power = (light * 203 / 10_000) ** (2610 / 16_384)
    coded = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    stored = np.rint(255 * coded).astype(np.uint8)
    for transfer, wanted in (("smpte2084", sdr), ("bt709", stored)):
        options = {"x264-params": f"transfer={transfer}", "crf": "1"}
        frames, _ = read(write("a.mp4", encode("libx264", "mp4", [stored] * 3, options=options)))
        assert np.abs(frames[0].image.astype(int) - wanted).mean() < 3


def test_each_frame_has_its_own_size(write):
    parts = [[picture(i, size) for i in range(6)] for size in ((96, 64), (64, 48))]
    data = b"".join(encode("libx264", "h264", part) for part in parts)
    frames, error = read(write("a.h264", data))
    assert error == ""
    assert [frame.image.shape[:2] for frame in frames] == [(64, 96)] * 6 + [(48, 64)] * 6


def test_times_of_a_variable_rate(write):
    stamps = [40 * index * index for index in range(8)]
    data = encode("libx264", "mp4", pictures(8), stamps=stamps)
    frames, error = read(write("a.mp4", data))
    assert error == ""
    np.testing.assert_allclose([frame.time for frame in frames], np.array(stamps) / 1000, atol=1e-6)


def test_times_go_on_where_a_recording_begins_anew(write):
    data = encode("libx264", "mpegts", pictures(25))
    frames, error = read(write("a.ts", data + data))
    assert error == ""
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(50) / 25, atol=1e-3)


def test_frames_that_are_too_large(write, h264, caplog):
    path = write("a.mp4", h264)
    frames, error = read(path, max_pixels=96 * 64 - 1)
    assert frames == []
    assert (
        "frames of 96 x 64 pixels, expected at most 6,143: shrink it, or set `max_pixels`" in error
    )
    assert len(read(path, max_pixels=96 * 64)[0]) == 25


# Names, and what takes PyAV's place.


@pytest.mark.parametrize("name", ["2024-05-01T12:00:00.mp4", "-a.mp4", "%03d.mp4", "a\udcff.mp4"])
def test_odd_names(tmp_path, monkeypatch, h264, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(h264)
    assert len(list(VideoSource(name).frames())) == 25


def test_a_playlist_opens_no_connection(write):
    text = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n"
    _, error = read(write("a.mp4", text))
    assert "cannot be opened as a video" in error


def test_opencv_without_pyav(write, h264, monkeypatch, caplog):
    path = write("a.mp4", h264)
    monkeypatch.setitem(sys.modules, "av", None)
    for name in ("pyav", "convert"):
        monkeypatch.delitem(sys.modules, f"edgecount.runtime.sources.{name}", raising=False)
        monkeypatch.delattr(f"edgecount.runtime.sources.{name}", raising=False)
    with caplog.at_level(logging.WARNING):
        frames, error = read(path)
    assert (len(frames), error) == (25, "")
    assert_like(frames, range(25))
    assert "is decoded by OpenCV, which does not tell damaged frames" in caplog.text
    monkeypatch.undo()


def test_opencv_takes_no_name_that_is_no_utf8(tmp_path, monkeypatch, h264):
    """It ends the process."""
    from edgecount.runtime.sources.opencv import OpenCVClip

    with pytest.raises(SourceError, match="OpenCV takes no names that are not UTF-8"):
        OpenCVClip("a\udcff.mp4", "a")
