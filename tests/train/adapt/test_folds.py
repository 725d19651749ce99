"""Pictures that are left out together: whole clips, or runs of neighbours."""

import dataclasses
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")

from edgecount.errors import ConfigError
from edgecount.train.adapt.folds import (
    Fold,
    clips,
    close_to_training,
    cross_folds,
    parts,
    single_fold,
)
from edgecount.train.adapt.moments import moment_of
from edgecount.train.data.sample import Sample


def named(*names):
    head = np.ones((1, 2), np.float32)
    return [Sample(Path(name), head, head[:, 0]) for name in names]


def test_frames_follow_each_other_by_their_numbers():
    samples = named("a/f10.png", "a/f9.png", "b/f1.png", "a/f11.png")
    assert clips(samples) == [[1, 0, 3], [2]]


def test_whole_clips_are_left_out_where_they_are_even():
    samples = named(*(f"day{day}/{frame}.png" for frame in range(3) for day in range(4)))
    for part in parts(samples, 4):
        assert len({samples[index].path.parent for index in part}) == 1


def test_runs_of_neighbours_are_left_out_of_one_clip():
    samples = named(*(f"frame{number}.png" for number in range(10)))
    assert parts(samples, 4) == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]
    uneven = named(*(f"a{number}.png" for number in range(9)), "b1.png", "c1.png", "d1.png")
    assert max(map(len, parts(uneven, 4))) == 3


@pytest.mark.parametrize("number", [5, 7, 12, 50])
def test_every_image_measures_once_and_no_training_sees_it(number):
    plan = cross_folds(named(*(f"{index}.png" for index in range(number))))
    assert sorted(index for fold in plan.folds for index in fold.held) == list(range(number))
    assert {index for fold in plan.few for index in fold.held} == set(range(number))
    for fold in (*plan.folds, *plan.few):
        assert fold.trained
        assert not {*fold.trained} & {*fold.held}


def test_a_share_is_held_out_of_everything():
    samples = named(*(f"{index}.png" for index in range(12)))
    plan = single_fold(samples, 0.25)
    assert [fold.held for fold in (*plan.folds, *plan.few)] == [(9, 10, 11)] * 2
    for share in (0, 1.5, 0.1):
        with pytest.raises(ConfigError, match="holdout: expected"):
            single_fold(samples, share)


def kept(*seconds, camera="door"):
    """Pictures as ``edgecount.watch.service.keep`` names them."""
    start = datetime(2024, 5, 1, 12, 0, 3, 417_000, tzinfo=timezone.utc)
    times = [start + timedelta(seconds=one) for one in seconds]
    return named(*(f"{camera}-{t:%Y%m%d-%H%M%S}-{t.microsecond // 1000:03d}.jpg" for t in times))


def held(plan):
    return sorted(sorted(fold.held) for fold in plan.folds)


@pytest.mark.parametrize(
    ("stem", "camera", "time"),
    [
        ("door-20240501-120003-417", "door-", "12:00:03.417"),
        ("hall-2024-20240501-120003-417", "hall-2024-", "12:00:03.417"),
        ("0007_cam1_2024-05-01_12-00-03_small", "cam1_", "12:00:03"),
        ("2024-05-01T12:00:03.5Z", "", "12:00:03"),
        ("Screenshot 2024-05-01 at 12.00.03", "Screenshot ", "12:00:03"),
        ("x20240501120003417", "x", "12:00:03.417"),
        ("door-20240501-120003-417_jpg.rf.3d1f8", "door-", "12:00:03.417"),
    ],
)
def test_times_are_read_from_names(stem, camera, time):
    moment = moment_of(stem)
    expected = datetime.fromisoformat(f"2024-05-01T{time}+00:00")
    assert (moment.camera, moment.second) == (camera, pytest.approx(expected.timestamp(), abs=0.01))


@pytest.mark.parametrize(
    "stem",
    [
        "frame_000123",
        "IMG_1",
        "vidf1_33_000_f001",
        "20240501-1200",
        "20240231-120003",  # no day
        "20240501-126003",  # no minute
        "120240501120003",
        "door-20240501T120003Z_0012",  # a frame of a video that began then
    ],
)
def test_names_without_a_time_have_none(stem):
    assert moment_of(stem) is None


def test_pictures_of_one_moment_are_left_out_together():
    day = 86_400
    seconds = [day * number + 2.2 * step for number in range(4) for step in range(3)]
    samples = kept(*seconds)
    assert held(cross_folds(samples)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    backwards = cross_folds(samples[::-1])
    assert held(backwards) == held(cross_folds(samples))
    assert close_to_training(samples, cross_folds(samples).folds) == 0
    moved = [dataclasses.replace(one, path=Path("b") / one.path) for one in samples[1::2]]
    assert sorted(map(len, clips([*samples[::2], *moved]))) == [3, 3, 3, 3]  # whatever the folders
    assert len(clips([*samples, *kept(*seconds, camera="hall")])) == 8


@pytest.mark.parametrize(
    ("sizes", "number"),
    [((3, 2), 2), ((3, 3), 2), ((4, 2), 2), ((3, 2, 2), 3), ((4, 4), 2), ((5, 1, 1, 1), 4)],
)
def test_few_moments_make_fewer_parts(sizes, number):
    samples = kept(*(3600 * hour + step for hour, size in enumerate(sizes) for step in range(size)))
    plan = cross_folds(samples)
    assert len(plan.folds) == number
    assert sorted(index for fold in plan.folds for index in fold.held) == list(range(len(samples)))
    assert {index for fold in plan.few for index in fold.held} == set(range(len(samples)))
    assert close_to_training(samples, [*plan.folds, *plan.few]) == 0
    few, most = ([len(fold.trained) for fold in some] for some in (plan.few, plan.folds))
    assert 0 < np.mean(few) < np.mean(most)


@pytest.mark.parametrize("number", [5, 6, 8, 12])
def test_pictures_of_a_single_moment_are_left_out_in_runs_and_told(number):
    samples = kept(*(2.2 * step for step in range(number)))
    plan = cross_folds(samples)
    assert [fold.held for fold in plan.folds] == [
        fold.held for fold in cross_folds(named(*map("{}.png".format, range(number)))).folds
    ]
    assert close_to_training(samples, plan.folds) == number
    assert close_to_training(named(*map("{}.png".format, range(number))), plan.folds) == 0
    # Nearly all are of one moment: without it there would be too little to train on.
    most = kept(*(2.2 * step for step in range(number)), 86_400)
    assert close_to_training(most, cross_folds(most).folds) == number


def test_copies_are_left_out_with_their_originals():
    first = "a/door-20240501-120003-417"
    hour_later = "a/door-20240501-130003-417"
    names = [f"{first}.jpg", f"{first}_2.jpg", "b/door-20240501-120003-417_3.jpg"]
    samples = named(*names, f"{first}_2_2.png", f"{hour_later} (2).jpg", f"{hour_later}.jpg")
    assert clips(samples) == [[0, 1, 3, 2], [5, 4]]
    assert close_to_training(samples, [Fold((0,), (1, 2, 3, 4))]) == 3
    # Names without a time are copies of those in their own folder.
    samples = named("a/x.jpg", "a/x_2.jpg", "b/x_2.jpg", "a/IMG_1.jpg", "a/IMG_1_2.jpg")
    assert clips(samples) == [[3, 4], [0, 1], [2]]


def test_frames_beside_a_picture_of_their_name_are_no_copies():
    samples = named("clip.jpg", *(f"clip_{number}.jpg" for number in range(1, 121)))
    assert sorted(map(len, clips(samples))) == [1, 120]


def test_frames_of_a_video_with_a_time_are_a_clip_of_their_own():
    samples = named(*(f"door-20240501T120003Z_{number:04d}.png" for number in range(10)))
    assert parts(samples, 4) == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]


def with_copies(folder, number):
    """Write pictures that are there twice, by the names of two programs, and their samples."""
    for picture in range(number):
        for name in (f"IMG_{picture:04d}.png", f"export_{picture * 7 + 3:03d}.png"):
            (folder / name).write_bytes(b"picture %d" % picture)
    return named(*sorted(folder.iterdir()))


@pytest.mark.parametrize("number", [5, 6, 9])
def test_files_of_the_same_bytes_are_left_out_together(tmp_path, number):
    samples = with_copies(tmp_path, number)
    plan = cross_folds(samples)
    assert len(plan.folds) == 4
    assert sorted(index for fold in plan.folds for index in fold.held) == [*range(2 * number)]
    for fold in (*plan.folds, *plan.few, *single_fold(samples, 0.35).folds):
        held, trained = (
            {samples[index].path.read_bytes() for index in side}
            for side in (fold.held, fold.trained)
        )
        assert held
        assert not held & trained


def test_a_copy_has_the_time_of_the_picture_that_has_one(tmp_path):
    for name in ("door-20240501T120003Z.png", "copy.png", "other.png"):
        (tmp_path / name).write_bytes(b"other" if name == "other.png" else b"one")
    samples = named(*(tmp_path / n for n in ("copy.png", "other.png", "door-20240501T120003Z.png")))
    assert sorted(map(sorted, clips(samples))) == [[0, 2], [1]]


def test_copies_by_name_and_by_bytes_are_one_group(tmp_path):
    contents = {
        "door": b"1",
        "door_2": b"2",
        "aaa": b"2",
        "street": b"9",
        "yard": b"8",
        "zzz": b"1",
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.png").write_bytes(content)
    for order in (1, -1):
        samples = named(*(tmp_path / f"{name}.png" for name in [*contents][::order]))
        found = [{samples[index].path.stem for index in clip} for clip in clips(samples)]
        assert sorted(map(sorted, found)) == [
            ["aaa", "door", "door_2", "zzz"],
            ["street"],
            ["yard"],
        ]


def test_runs_of_neighbours_divide_no_copies():
    names = [f"IMG_{number:04d}{copy}.png" for number in range(6) for copy in ("", "_2")]
    samples = named(*names[:-1])
    for fold in (*cross_folds(samples).folds, *single_fold(samples, 0.35).folds):
        held, trained = (
            {samples[index].path.stem.removesuffix("_2") for index in side}
            for side in (fold.held, fold.trained)
        )
        assert held
        assert not held & trained
    # Frames beside a picture of their name would all be its copies: too many to stay together.
    assert len(parts(named("clip.jpg", *(f"clip_{number}.jpg" for number in range(1, 12))), 4)) == 4


def test_fewer_parts_where_all_is_one_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"a")
    samples = named(*[tmp_path / "a.png"] * 3, tmp_path / "b.png")
    assert parts(samples, 4) == [[0, 1, 2], [3]]


def test_a_share_that_is_held_out_divides_no_moment():
    samples = kept(*(3600 * hour + step for hour in range(3) for step in range(4)))
    plan = single_fold(samples, 0.25)
    assert [fold.held for fold in (*plan.folds, *plan.few)] == [(8, 9, 10, 11)] * 2
    samples = kept(*range(12))
    plan = single_fold(samples, 0.25)
    assert plan.folds[0].held == (9, 10, 11)
    assert close_to_training(samples, plan.folds) == 3
