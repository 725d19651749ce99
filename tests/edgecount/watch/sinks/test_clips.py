"""Clips around an alarm: what they show, how much is kept, and what kills and full disks leave."""

import os
import subprocess
import sys
import time

import av
import numpy as np
import pytest

from edgecount.errors import ConfigError, OutputError
from edgecount.result import CountResult
from edgecount.watch.sinks import clips as clips_module
from edgecount.watch.sinks.clips import Clips
from edgecount.watch.sinks.ring import Ring, Shot

SIZE = (96, 64)


@pytest.fixture
def picture(make_reading):
    """Make a reading whose picture is as bright as its time is late."""

    def make(at, size=SIZE, counted=True, **given):
        width, height = size
        image = np.full((height, width, 3), min(40 + 4 * int(at), 255), np.uint8)
        density = np.zeros((height // 8, width // 8), np.float32)
        points = np.array([(20.0, 20.0, 0.9)], np.float32)
        result = CountResult(
            1.0, 1.0, 1, points, density, (8.0, 8.0), {}, False, size, "tiny", "numpy"
        )
        return make_reading(at, image=image, result=result if counted else None, **given)

    return make


def plain(image, reading, scale):
    return image


def shown(path):
    """Return the size of a clip, and time and brightness of each picture."""
    with av.open(str(path)) as clip:
        frames = list(clip.decode(video=0))
        pictures = [
            (frame.time, float(frame.to_ndarray(format="bgr24").mean())) for frame in frames
        ]
        return (frames[0].width, frames[0].height), pictures


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_clip_shows_what_was_before_and_after(tmp_path, picture, make_event):
    sink = Clips(tmp_path / "clips", before=3, after=4, rate=1, draw=plain)
    sink.open()
    for at in range(30):
        sink.reading(picture(at))
        sink.reading(picture(at, camera="other"))
        if at == 10:
            sink.event(make_event(at=10))
            sink.event(make_event("cleared", at=10))
            sink.event(make_event(kind="camera", at=10))
    assert names(tmp_path / "clips") == ["door-crowded-20231114T221330Z.mp4"]
    sink.close()
    size, pictures = shown(tmp_path / "clips" / "door-crowded-20231114T221330Z.mp4")
    assert size == SIZE
    assert [moment for moment, _ in pictures] == pytest.approx(list(range(8)), abs=0.01)
    expected = [40 + 4 * at for at in range(7, 15)]
    assert [bright for _, bright in pictures] == pytest.approx(expected, abs=3)


def test_it_is_drawn_and_keeps_its_size(tmp_path, picture, make_event):
    sink = Clips(tmp_path, before=5, after=5, rate=2)
    sink.open()
    sink.reading(picture(0, size=(161, 121)))
    sink.event(make_event(at=0, name="ä b/../c", camera="door"))
    sink.reading(picture(1, size=(161, 121)))
    sink.reading(picture(1.1))  # too soon
    sink.reading(picture(2, size=(320, 240)))
    sink.reading(picture(3, counted=False))
    sink.close()
    (name,) = names(tmp_path)
    assert name == "door-_b_c-20231114T221320Z.mp4"
    size, pictures = shown(tmp_path / name)
    assert size == (160, 120)
    assert len(pictures) == 4
    assert abs(pictures[0][1] - 40) > 2  # something is drawn over it
    assert pictures[3][1] == pytest.approx(52, abs=3)


def test_alarms_that_follow_each_other_make_one_clip(tmp_path, picture, make_event, monkeypatch):
    monkeypatch.setattr(clips_module, "_LONGEST", 8.0)
    sink = Clips(tmp_path, before=2, after=4, rate=1, draw=plain)
    sink.open()
    for at in range(20):
        sink.reading(picture(at))
        if at in {5, 7, 10, 12}:
            sink.event(make_event(at=at))
    sink.close()
    assert len(names(tmp_path)) == 1
    _, pictures = shown(tmp_path / names(tmp_path)[0])
    assert len(pictures) == 3 + 8


def test_a_camera_that_is_gone_ends_its_clip(tmp_path, picture, make_event, monkeypatch):
    monkeypatch.setattr(clips_module, "_SILENCE", 0.05)
    sink = Clips(tmp_path, before=2, after=0, rate=1, draw=plain)
    sink.open()
    for at in range(3):
        sink.reading(picture(at))
    sink.event(make_event(at=2))
    time.sleep(0.1)
    for _ in range(3):
        sink.idle()
    assert len(names(tmp_path)) == 1
    sink.event(make_event(at=50))  # an alarm without pictures is no clip
    sink.close()
    assert len(names(tmp_path)) == 1


def test_the_folder_is_bounded(tmp_path, picture, make_event):
    (tmp_path / "of-somebody-else.mp4").write_bytes(b"x" * 100_000)
    left = "door-crowded-20231114T221330Z.mp4.0123abcd.partial"
    (tmp_path / left).write_bytes(b"half")
    for number in range(5):
        path = tmp_path / f"door-crowded-20231114T22133{number}Z.mp4"
        path.write_bytes(b"x" * 1000)
        os.utime(path, (number, number))
    sink = Clips(tmp_path, before=2, after=1, size_mb=0.003, rate=1, draw=plain)
    sink.open()
    kept = [f"door-crowded-20231114T22133{number}Z.mp4" for number in (2, 3, 4)]
    assert names(tmp_path) == [*kept, "of-somebody-else.mp4"]
    sink.reading(picture(12))
    sink.event(make_event(at=12))
    sink.close()
    assert "door-crowded-20231114T221332Z-2.mp4" in names(tmp_path)
    assert kept[0] not in names(tmp_path)


def test_memory_is_bounded(picture):
    ring = Ring(10.0, 20_000)
    shot = Shot.of(picture(0), picture(0).image)
    for at in range(100):
        for camera in ("a", "b"):
            ring.add(Shot.of(picture(at, camera=camera), picture(at).image))
    taken = ring.take("a")
    assert 3 <= len(taken) <= 11
    assert taken[-1].reading.time - taken[0].reading.time <= 10
    assert shot.reading.image is None
    assert (len(taken) + len(ring.take("b"))) * shot.size <= 20_000 + shot.size
    assert ring.take("a") == []
    # A clock that is set back leaves no pictures of the future behind.
    ring.add(Shot.of(picture(1000), picture(0).image))
    ring.add(Shot.of(picture(0), picture(0).image))
    assert [one.reading.time for one in ring.take("door")] == [picture(0).time]


FULL_DISK = """
import resource, sys
import numpy as np
from edgecount.errors import OutputError
from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.readings import Event, Reading
from edgecount.watch.sinks.clips import Clips
sink = Clips(sys.argv[1], before=9, after=2, rate=1)
sink.open()
noise = np.random.default_rng(0)
def give(at):
    image = noise.integers(0, 255, (240, 320, 3)).astype(np.uint8)
    numbers = (1.0, None, 1.0, None, {}, {}, "good", False, SourceHealth(SourceState.LIVE))
    sink.reading(Reading("door", at, *numbers, image=image))
for at in range(9):
    give(1e9 + at)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
sink.event(Event("door", 1e9 + 8, "alarm", "a", "raised"))
try:
    sink.close()
except OutputError as error:
    print(error)
sink.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
give(1e9 + 20)
sink.event(Event("door", 1e9 + 20, "alarm", "a", "raised"))
sink.close()
"""


def test_a_full_disk(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / "door-a-20010909T014648Z.mp4"
    assert done.stdout == f"cannot write {path}: File too large\n"
    assert names(tmp_path) == ["door-a-20010909T014700Z.mp4"]


def test_places_and_numbers_that_make_no_sense(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write into .*Not a directory"):
        Clips(tmp_path / "file" / "clips").open()
    for wrong in ({"before": 61}, {"after": -1}, {"size_mb": 0}, {"rate": float("nan")}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: expected"):
            Clips(tmp_path, **wrong)


def test_a_second_service_leaves_the_clips_of_the_first_alone(tmp_path, picture, make_event):
    first, second = (Clips(tmp_path, before=1, after=9, rate=1, draw=plain) for _ in range(2))
    first.open()
    first.reading(picture(0))
    first.event(make_event(at=0))
    first.reading(picture(1))
    with pytest.raises(
        OutputError, match=r"^process \d+ .*writes clips into .*a folder of its own"
    ):
        second.open()
    first.close()
    second.open()
    second.close()
    assert names(tmp_path) == ["door-crowded-20231114T221320Z.mp4"]


def test_names_that_look_alike_are_clips_of_their_own(tmp_path, picture, make_event):
    clips = Clips(tmp_path, before=1, after=1, rate=10, draw=plain)
    clips.open()
    for camera in ("a-b", "a"):
        clips.reading(picture(0, camera=camera))
    clips.event(make_event(at=0.2, camera="a-b", name="c"))
    clips.event(make_event(at=0.3, camera="a", name="b-c"))
    for camera in ("a-b", "a"):
        clips.reading(picture(0.5, camera=camera))
    clips.close()
    assert len(names(tmp_path)) == 2
