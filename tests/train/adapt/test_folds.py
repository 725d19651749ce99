"""Pictures that are left out together: whole clips, or runs of neighbours."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")

from edgecount.errors import ConfigError
from edgecount.train.adapt.folds import clips, cross_folds, parts, single_fold
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
