"""Annotated clips: rates, full disks, and files that are whole or not there."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edgecount._clips import ClipWriter, clip_rate
from edgecount.errors import OutputError

SIZE = (64, 48)


def picture(shade: int = 100) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), (shade, 80, 200), np.uint8)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (25.0, 25),
        (30000 / 1001, Fraction(30000, 1001)),
        (12.5, Fraction(25, 2)),
        (None, 10),
        (0.0, 10),
        (25 / 60000, Fraction(1, 2400)),
        (1e-9, Fraction(1, 3600)),
        (1e6, 65535),
    ],
)
def test_rates(fps, rate):
    assert clip_rate(fps) == rate


def test_odd_rates_are_rounded_to_what_mpeg4_holds_as_well():
    for fps in (105611 / 500, 23.976023976, 59.94, 0.3333, 1000.1, np.pi):
        rate = clip_rate(fps)
        assert float(rate) == pytest.approx(fps, rel=1e-3)
        assert max(rate.numerator, rate.denominator) <= 65535


@pytest.mark.parametrize("fps", [25.0, 105611 / 500, 1 / 2400])
def test_a_clip_is_read_as_it_was_written(tmp_path, fps):
    path = tmp_path / "run12:00" / "a.mp4"
    writer = ClipWriter(path, SIZE, fps)
    for shade in range(0, 200, 20):
        writer.write(picture(shade))
    assert not path.exists()
    writer.close()
    assert names(path.parent) == ["a.mp4"]
    with av.open(f"file:{path}") as clip:
        stream = clip.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-3)
        frames = list(clip.decode(stream))
    assert len(frames) == 10
    got = frames[5].to_ndarray(format="bgr24")
    np.testing.assert_allclose(got, picture(100), atol=4)


def test_a_clip_without_x264(tmp_path, monkeypatch):
    monkeypatch.setattr("av.codecs_available", {"mpeg4"})
    writer = ClipWriter(tmp_path / "a.mp4", SIZE, 105611 / 500)
    writer.write(picture())
    writer.close()
    with av.open(str(tmp_path / "a.mp4")) as clip:
        assert clip.streams.video[0].codec_context.name == "mpeg4"
        assert len(list(clip.decode(video=0))) == 1


def test_an_older_clip_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    writer = ClipWriter(path, SIZE, 25.0)
    writer.write(picture())
    assert path.read_bytes() == b"older"
    writer.close()
    assert path.read_bytes()[4:8] == b"ftyp"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*a.mp4"):
        ClipWriter(tmp_path / "file" / "a.mp4", SIZE, 25.0)


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from edgecount._clips import ClipWriter
from edgecount.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
noise = np.random.default_rng(0)
writer = ClipWriter(Path(sys.argv[1]), (320, 240), 25.0)
try:
    for _ in range(int(sys.argv[3])):
        writer.write(noise.integers(0, 255, (240, 320, 3)).astype(np.uint8))
    writer.close()
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize(("limit", "frames"), [(200_000, 40), (1000, 2)])
def test_a_full_disk(tmp_path, limit, frames):
    """Met while frames are written, and by the end of the file alone."""
    path = tmp_path / "a.mp4"
    command = [sys.executable, "-c", FULL_DISK, str(path), str(limit), str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot write {path}: File too large\n"
    assert done.stderr == ""
    assert names(tmp_path) == []
