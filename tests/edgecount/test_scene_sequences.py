"""Sets of rendered sequences: true boxes, continuous tracks, and calls that go on."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgecount.errors import ConfigError, OutputError
from edgecount.scenes import render_clip, render_scene
from edgecount.scenes.camera import HEAD_METRES
from edgecount.scenes.crowd import draw_people, person_sprite
from edgecount.scenes.layouts import CsvLayout, SequenceTruth
from edgecount.scenes.scene import Heads
from edgecount.scenes.sequences import SetOptions, layout_of, plan_sequences, write_set
from edgecount.scenes.stage import Setting, set_stage
from edgecount.scenes.visibility import VISIBLE_SHARE

SIZE = (320, 240)
SMALL = SetOptions(train=2, test=1, frames=2, fps=5, people=12, size=SIZE, seed=4)


def test_a_box_bounds_the_pixels_of_its_head() -> None:
    stage = set_stage(np.random.default_rng(0), Setting(60, (640, 480), "plaza", "day", "uniform"))
    crowd = draw_people(np.random.default_rng(1), stage.camera, 60, "uniform")
    # Nothing hangs from these heads and nothing sits on them: the pixels say where they are.
    plain = [p for p in crowd if p.look.hair_style in ("bald", "short") and not p.look.hat]
    assert len(plain) >= 5
    for person in plain:
        sprite = person_sprite(person, stage.camera, stage.light)
        assert sprite.head is not None
        rows, columns = np.nonzero(sprite.head > 0.5)
        drawn = np.array(
            [
                sprite.left + columns.min(),
                sprite.top + rows.min(),
                sprite.left + columns.max() + 1,
                sprite.top + rows.max() + 1,
            ]
        )
        # Drawn edges are on whole pixels; the body may hide the chin from above.
        assert np.abs(drawn - sprite.head_box)[:3].max() <= 1
        assert -1 <= sprite.head_box[3] - drawn[3] <= 0.35 * sprite.head_size + 1


def test_a_pictures_heads_have_boxes_of_their_sizes() -> None:
    scene = render_scene(30, size=SIZE, seed=2)
    centres = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2
    assert np.abs(centres - scene.points).max() < 0.15 * scene.sizes.max()
    heights = scene.boxes[:, 3] - scene.boxes[:, 1]
    np.testing.assert_allclose(heights, scene.sizes, rtol=0.15)
    assert (scene.visibility >= VISIBLE_SHARE).all()
    assert (scene.visibility <= 1).all()
    assert len(scene.hidden.ids) == 0


def test_a_track_is_one_person_who_moves_as_people_walk() -> None:
    fps = 10.0
    clip = list(render_clip(40, frames=6, fps=fps, size=SIZE, seed=3, place="plaza"))
    frames = [by_id(Heads(s.ids, s.boxes, s.visibility)) | by_id(s.hidden) for s in clip]
    assert any(len(scene.hidden.ids) for scene in clip)
    followed = 0
    for before, after in itertools.pairwise(frames):
        for number in before.keys() & after.keys():
            one, two = before[number], after[number]
            height = one[3] - one[1]
            # The fastest walk 1.45 m/s; a step lifts the head, and profiles turn a little.
            metres = np.abs(two - one).max() / height * HEAD_METRES
            assert metres < 1.45 / fps + 0.05
            assert abs((two[3] - two[1]) / height - 1) < 0.15
            followed += 1
        # Whoever goes has reached the edge of the frame: nobody vanishes in the middle of it.
        for number in before.keys() - after.keys():
            left, top, right, bottom = before[number]
            step = 0.8 * (bottom - top)
            edge = min(left, top, SIZE[0] - right, SIZE[1] - bottom)
            assert edge < step
    assert followed > 100


def by_id(heads: Heads) -> dict[int, np.ndarray]:
    assert len(set(heads.ids.tolist())) == len(heads.ids)
    return dict(zip(heads.ids.tolist(), heads.boxes, strict=True))


def test_who_comes_back_at_the_other_side_is_somebody_new() -> None:
    # Twenty seconds a frame: walkers cross the whole view several times.
    first, *later = render_clip(12, frames=4, fps=0.05, size=SIZE, seed=4, place="street")
    assert (first.ids < 12).all()
    numbers = {number for scene in later for number in scene.ids.tolist()}
    assert any(number >= 12 for number in numbers)


def test_a_plan_covers_densities_places_and_lights() -> None:
    plan = plan_sequences(SetOptions(train=24, test=11, people=400))
    assert len({sequence.name for sequence in plan}) == 35
    assert len({sequence.seed for sequence in plan}) == 35
    for part, number in (("train", 24), ("test", 11)):
        there = [sequence for sequence in plan if sequence.part == part]
        assert len(there) == number
        assert {min(s.people for s in there), max(s.people for s in there)} == {100, 400}
        assert {s.place for s in there} == {"street", "plaza", "park", "hall", "stand"}
        assert {s.light for s in there} >= {"day", "overcast", "dusk", "night"}
    assert plan == plan_sequences(SetOptions(train=24, test=11, people=400))
    assert plan != plan_sequences(SetOptions(train=24, test=11, people=400, seed=1))
    assert [s.people for s in plan_sequences(SetOptions(train=1, test=0, people=70))] == [70]


def test_the_files_of_motchallenge(tmp_path: Path) -> None:
    found = write_set(tmp_path, SMALL, "mot")
    (one, other, test) = plan_sequences(SMALL)
    assert (found.sequences, found.frames) == (3, 6)
    total = 0
    for sequence in (one, other, test):
        folder = tmp_path / sequence.part / sequence.name
        assert sorted(p.name for p in (folder / "img1").iterdir()) == ["000001.jpg", "000002.jpg"]
        info = (folder / "seqinfo.ini").read_text().splitlines()
        assert info[:2] == ["[Sequence]", f"name={sequence.name}"]
        assert {"frameRate=5", "seqLength=2", "imWidth=320", "imHeight=240"} <= set(info)
        rows = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",", ndmin=2)
        assert rows.shape[1] == 9
        assert (rows[:, 7] == 1).all()
        clip = render_clip(
            sequence.people,
            frames=2,
            fps=5,
            size=SIZE,
            seed=sequence.seed,
            place=sequence.place,
            light=sequence.light,
        )
        for frame, scene in enumerate(clip, 1):
            counted = rows[(rows[:, 0] == frame) & (rows[:, 6] == 1)]
            order = np.argsort(scene.ids)
            np.testing.assert_array_equal(counted[:, 1], scene.ids[order] + 1)
            corners = counted[:, 2:4] - 1
            boxes = np.concatenate([corners, corners + counted[:, 4:6]], axis=1)
            np.testing.assert_allclose(boxes, scene.boxes[order], atol=0.011)
            np.testing.assert_allclose(counted[:, 8], scene.visibility[order], atol=0.006)
            ignored = rows[(rows[:, 0] == frame) & (rows[:, 6] == 0)]
            np.testing.assert_array_equal(ignored[:, 1], np.sort(scene.hidden.ids) + 1)
            total += len(scene.points)
    assert found.heads == total


def test_a_call_that_was_stopped_goes_on(tmp_path: Path) -> None:
    write_set(tmp_path, SMALL, "mot")
    truth = tmp_path / "train" / "scene-02" / "gt" / "gt.txt"
    picture = truth.parents[1] / "img1" / "000002.jpg"
    before = truth.read_bytes(), picture.read_bytes()
    truth.unlink()
    picture.unlink()
    steps: list[int] = []
    found = write_set(tmp_path, SMALL, "mot", lambda: steps.append(1))
    assert (found.sequences, found.frames) == (1, 2)
    assert len(steps) == 6  # those of the sequences that are there, too
    assert (truth.read_bytes(), picture.read_bytes()) == before
    assert write_set(tmp_path, SMALL, "mot").sequences == 0


def test_the_csv_has_a_row_for_each_head(tmp_path: Path) -> None:
    nobody = SetOptions(train=1, test=0, frames=2, people=0, size=SIZE)
    write_set(tmp_path / "nobody", nobody, "csv")
    with (tmp_path / "nobody" / "train" / "heads.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    names = [f"scene-01/scene-01_00000{frame}.jpg" for frame in (1, 2)]
    assert rows[1:] == [[name, "", "", "", "", ""] for name in names]
    found = write_set(tmp_path / "some", SMALL, "csv")
    again = write_set(tmp_path / "some", SMALL, "csv")
    with (tmp_path / "some" / "train" / "heads.csv").open(newline="") as file:
        train = list(csv.reader(file))
    with (tmp_path / "some" / "test" / "heads.csv").open(newline="") as file:
        test = list(csv.reader(file))
    assert len(train) + len(test) == found.heads + 2
    assert again.sequences == 0


def test_what_else_is_in_the_folder_stays(tmp_path: Path) -> None:
    write_set(tmp_path / "set", SetOptions(train=1, test=0, frames=1, people=0, size=SIZE), "mot")
    with pytest.raises(OutputError, match="holds scenes with people 0, not 12: choose another"):
        write_set(tmp_path / "set", SetOptions(1, 0, 1, people=12, size=SIZE), "mot")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="mine is not empty: choose another folder"):
        write_set(tmp_path / "mine", SMALL, "mot")
    with pytest.raises(ConfigError, match="layout: expected one of mot, csv, got 'voc'"):
        write_set(tmp_path / "new", SMALL, "voc")
    with pytest.raises(ConfigError, match="train: expected at least one sequence"):
        SetOptions(train=0, test=0)
    with pytest.raises(ConfigError, match="test: expected 0 or more sequences, got -1"):
        SetOptions(test=-1)


def test_the_size_of_a_set_is_told_by_its_sides(tmp_path: Path) -> None:
    options = SetOptions(train=1, test=0, frames=1, people=0, size=SIZE)
    write_set(tmp_path, options, "mot")
    turned = dataclasses.replace(options, size=(240, 320))
    message = "with size of width 320 and height 240, not of width 240 and height 320: choose"
    with pytest.raises(OutputError, match=message):
        write_set(tmp_path, turned, "mot")


def test_settings_without_a_scene_give_way(tmp_path: Path) -> None:
    options = SetOptions(train=1, test=0, frames=1, people=0, size=SIZE)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path, options, "csv", stop)
    shutil.rmtree(tmp_path / "train")
    assert [path.name for path in tmp_path.iterdir()] == ["scenes.json"]
    assert write_set(tmp_path, dataclasses.replace(options, seed=5), "mot").sequences == 1
    assert layout_of(tmp_path) == "mot"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "scenes.json is not JSON: it is not UTF-8"),
        (b"{}", "holds something else than scenes: choose another folder"),
        (b"[" + b" " * 70_000 + b"]", "scenes.json is no file of settings: it is larger than"),
    ],
)
def test_settings_of_others_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "scenes.json"
    path.write_bytes(data)
    with pytest.raises(OutputError, match=message):
        write_set(tmp_path, SMALL, "mot")
    assert [(path, data)] == [(one, one.read_bytes()) for one in tmp_path.iterdir()]
    assert layout_of(tmp_path) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_settings_that_are_a_fifo_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scenes.json")
    with pytest.raises(OutputError, match="is a FIFO"):
        write_set(tmp_path, SMALL, "mot")
    assert layout_of(tmp_path) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_a_folder_is_for_one_process_at_a_time(tmp_path: Path) -> None:
    tried: list[str] = []

    def again() -> None:
        with pytest.raises(OutputError) as error:
            write_set(tmp_path, SMALL, "csv")
        tried.append(str(error.value))

    write_set(tmp_path, SMALL, "csv", again)
    assert len(tried) == 6
    assert f"is rendering scenes into {tmp_path}: wait for it" in tried[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scenes.json", "test", "train"]


@pytest.mark.parametrize("layout", ["mot", "csv"])
def test_a_whole_set_is_left_as_it_is(tmp_path: Path, monkeypatch, layout: str) -> None:
    write_set(tmp_path, SMALL, layout)

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a lock in a folder that may be read-only")

    monkeypatch.setattr("edgecount.scenes.sequences.locked", refuse)
    steps: list[int] = []
    before = tmp_path.stat().st_mtime_ns
    found = write_set(tmp_path, SMALL, layout, lambda: steps.append(1))
    assert (found.sequences, found.frames, found.heads) == (0, 0, 0)
    assert len(steps) == 6
    assert tmp_path.stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="holds scenes with seed 4, not 5: choose another"):
        write_set(tmp_path, dataclasses.replace(SMALL, seed=5), layout)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not hold")
def test_a_whole_set_may_be_read_only(tmp_path: Path) -> None:
    write_set(tmp_path, SMALL, "mot")
    tmp_path.chmod(0o555)
    try:
        assert write_set(tmp_path, SMALL, "mot").sequences == 0
    finally:
        tmp_path.chmod(0o755)


def test_a_sequence_that_another_process_wrote_is_in_the_csv_once(tmp_path: Path) -> None:
    heads = Heads(np.array([3]), np.array([[1, 2, 4, 6]], np.float32), np.ones(1, np.float32))
    form = CsvLayout()
    for name in ("scene-01", "scene-02", "scene-01"):
        form.finish(tmp_path, SequenceTruth(name, [heads], [], 1.0, SIZE))
    with (tmp_path / "heads.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert [row[0] for row in rows] == [f"{n}/{n}_000001.jpg" for n in ("scene-02", "scene-01")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames: expected 1 or more, got 0"),
        ({"fps": 0.0}, "fps: expected 0.01 to 1000, got 0.0"),
        ({"fps": 1e-300}, "fps: expected 0.01 to 1000, got 1e-300"),
        ({"fps": float("nan")}, "fps: expected 0.01 to 1000, got nan"),
        ({"people": -1}, "people: expected 0 or more, got -1"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
        ({"size": (32, 64)}, "size: .* 64 to 16384 pixels, got width 32 and height 64"),
        ({"size": (64, 40000)}, "size: .* 64 to 16384 pixels, got width 64 and height 40000"),
        ({"people": 10**9}, "people: 1000000000 do not fit in a frame of 1280 x 720 pixels"),
    ],
)
def test_options_that_make_no_sense_leave_no_folder(tmp_path: Path, options, message) -> None:
    folder = tmp_path / "set"
    with pytest.raises(ConfigError, match=message):
        write_set(folder, SetOptions(**options), "mot")
    assert not folder.exists()
