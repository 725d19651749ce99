"""Average precision against curves drawn by hand and a slow search."""

import numpy as np
import pytest

from edgecount.train.evaluate.average_precision import (
    Ranked,
    average_precision,
    find_by_distance,
    find_by_overlap,
    mean_over,
    overlaps,
)


def _ranked(scores, found, true, rule="r"):
    return Ranked(np.array(scores, float), {rule: np.array(found, bool)}, true)


def test_the_101_points_of_a_curve_by_hand():
    # precision 1, 1/2, 2/3, 1/2 at recall 1/3, 1/3, 2/3, 2/3: 1 up to 0.33, then 2/3 up to 0.66
    image = _ranked([0.9, 0.8, 0.7, 0.6], [True, False, True, False], 3)
    expected = (34 * 1 + 33 * 2 / 3) / 101
    assert average_precision([image], "r") == {
        "ap": pytest.approx(expected),
        "recall": pytest.approx(2 / 3),
    }


def test_candidates_of_all_images_are_ranked_together():
    images = [_ranked([0.9, 0.3], [True, True], 2), _ranked([0.5], [False], 1)]
    # in order: found, wrong, found: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3
    assert average_precision(images, "r")["ap"] == pytest.approx((34 + 33 * 2 / 3) / 101)
    perfect = [_ranked([0.9, 0.3], [True, True], 2), _ranked([0.5], [True], 1)]
    assert average_precision(perfect, "r") == {"ap": 1.0, "recall": 1.0}


def test_nobody_and_nothing():
    nothing = {"ap": 0.0, "recall": 0.0}
    assert average_precision([_ranked([0.5], [False], 0)], "r") == nothing
    assert average_precision([_ranked([], [], 4)], "r") == nothing


def test_means_over_rules():
    image = Ranked(np.array([0.9]), {"a": np.array([True]), "b": np.array([False])}, 1)
    assert mean_over([image], ["a", "b"]) == {"ap": 0.5, "ar": 0.5}


def test_overlaps_by_hand():
    boxes = np.array([[0, 0, 4, 4], [0, 0, 0, 9]], np.float32)
    true = np.array([[1, 1, 3, 7], [0, 0, 4, 4], [5, 5, 5, 5]], np.float32)
    np.testing.assert_allclose(overlaps(boxes, true), [[6 / 22, 1.0, 0.0], [0.0, 0.0, 0.0]])


def test_the_better_box_has_the_first_choice_and_each_head_is_found_once():
    true = np.array([[0, 0, 10, 10], [8, 0, 18, 10]], np.float32)
    boxes = np.array([[1, 0, 11, 10], [0, 0, 10, 10], [30, 0, 40, 10], [8, 0, 18, 10]], np.float32)
    # the first takes the left head, so the second, which fits it perfectly, finds nothing
    assert find_by_overlap(boxes, true, 0.5).tolist() == [True, False, False, True]
    assert find_by_overlap(boxes, true, 0.9).tolist() == [False, True, False, True]


def _slowly(points, true, radii):
    """Look at every head for every point, as the text says."""
    free, found = set(range(len(true))), []
    for point in points:
        apart = {head: float(np.hypot(*(point - true[head]))) for head in free}
        near = {head: d for head, d in apart.items() if d <= radii[head]}
        found.append(bool(near))
        if near:
            free.remove(min(near, key=lambda head: near[head]))
    return found


def test_points_take_the_nearest_free_head_within_its_own_reach():
    rng = np.random.default_rng(0)
    points, true = rng.uniform(0, 60, (40, 2)), rng.uniform(0, 60, (30, 2))
    radii = rng.uniform(2, 12, 30)
    found = find_by_distance(points, true, radii).tolist()
    assert found == _slowly(points, true, radii)
    assert 10 < sum(found) < 30


def test_without_heads_or_candidates():
    nobody, points = np.zeros((0, 2)), np.zeros((3, 2))
    assert find_by_distance(points, nobody, np.zeros(0)).tolist() == [False] * 3
    assert find_by_distance(nobody, points, np.ones(3)).tolist() == []
    assert find_by_overlap(np.zeros((2, 4)), np.zeros((0, 4)), 0.5).tolist() == [False, False]
