"""Counts, levels and matched points on examples worked by hand."""

import itertools

import numpy as np
import pytest

pytest.importorskip("scipy")

from edgecount.train.evaluate.metrics import (
    count_metrics,
    detection_metrics,
    level_metrics,
    match_pairs,
    match_points,
)


def test_count_metrics():
    metrics = count_metrics([12.0, 8.0, 1.0], [10, 10, 0])
    assert metrics["mae"] == pytest.approx(5 / 3)
    assert metrics["rmse"] == pytest.approx(np.sqrt(3))
    assert metrics["nae"] == pytest.approx(0.2)
    assert metrics["bias"] == pytest.approx(1 / 3)


def test_the_nae_of_images_without_people_is_not_defined():
    metrics = count_metrics([31.0, 1.0], [0, 0])
    assert metrics == {
        "images": 2,
        "mae": 16,
        "rmse": pytest.approx(481**0.5),
        "nae": None,
        "bias": 16,
    }
    levels = level_metrics([3.0, 0.5], [4, 0])
    assert [level["nae"] for level in levels] == [None, 0.25]


def test_levels_are_equal_groups_in_order_of_the_true_count():
    true = [50, 10, 40, 20, 30, 60, 90, 70, 80, 100]
    levels = level_metrics([value + (5 if value > 50 else -1) for value in true], true)
    assert [(level["lowest"], level["highest"]) for level in levels] == [
        (10, 20),
        (30, 40),
        (50, 60),
        (70, 80),
        (90, 100),
    ]
    assert [level["images"] for level in levels] == [2] * 5
    assert [level["mae"] for level in levels] == [1, 1, 3, 5, 5]
    assert [level["bias"] for level in levels] == [-1, -1, 2, 5, 5]
    assert levels[2]["true"] == 55
    assert levels[2]["predicted"] == 57


def test_fewer_images_than_levels_are_a_level_each():
    levels = level_metrics([3.0, 0.5], [4, 0])
    assert [(level["lowest"], level["images"], level["mae"]) for level in levels] == [
        (0, 1, 0.5),
        (4, 1, 1),
    ]


def test_matching_is_one_to_one_and_takes_as_many_pairs_as_there_can_be():
    true = np.array([[0.0, 0.0], [4.0, 0.0]])
    # Greedily, the middle point would take the first head and leave the far one without.
    predicted = np.array([[1.5, 0.0], [-3.5, 0.0]])
    assert match_points(predicted, true, np.array([4.0, 4.0])) == 2
    assert match_points(np.array([[0.0, 0.0], [0.1, 0.0]]), true[:1], np.array([4.0])) == 1
    assert match_points(predicted, true, np.array([0.5, 0.5])) == 0
    assert match_points(predicted[:0], true, np.array([1.0, 1.0])) == 0
    assert match_points(predicted, true[:0], np.zeros(0)) == 0


def test_a_point_exactly_as_far_as_the_radius_matches():
    assert match_points(np.array([[3.0, 4.0]]), np.zeros((1, 2)), np.array([5.0])) == 1
    assert match_points(np.array([[3.0, 4.0]]), np.zeros((1, 2)), np.array([4.99])) == 0


@pytest.mark.parametrize("seed", range(8))
def test_no_assignment_has_more_pairs_and_the_pairs_are_near(seed):
    rng = np.random.default_rng(seed)
    predicted, true = rng.uniform(0, 10, (5, 2)), rng.uniform(0, 10, (6, 2))
    radii = rng.uniform(1, 4, 6)
    near = np.linalg.norm(true[:, None] - predicted[None], axis=2) <= radii[:, None]
    heads = range(len(true))
    most = max(
        sum(near[head, point] for point, head in enumerate(choice))
        for choice in itertools.permutations(heads, len(predicted))
    )
    points, matched = match_pairs(predicted, true, radii)
    assert len(points) == most
    assert near[matched, points].all()
    assert len(set(points.tolist())) == len(set(matched.tolist())) == most


def test_detection_metrics():
    values = detection_metrics(6, 8, 12)
    assert values == {"precision": 0.75, "recall": 0.5, "f1": pytest.approx(0.6)}
    assert detection_metrics(0, 0, 0)["f1"] == 0
