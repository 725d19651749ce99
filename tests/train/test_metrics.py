"""Metrics on examples worked by hand."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from edgecount.train.evaluation import detection_metrics
from edgecount.train.metrics import count_metrics, match_points


def test_count_metrics():
    metrics = count_metrics([12.0, 8.0, 1.0], [10, 10, 0])
    assert metrics["mae"] == pytest.approx(5 / 3)
    assert metrics["rmse"] == pytest.approx(np.sqrt(3))
    assert metrics["nae"] == pytest.approx(0.2)
    assert metrics["bias"] == pytest.approx(1 / 3)


def test_matching_is_one_to_one_and_takes_as_many_pairs_as_there_can_be():
    true = np.array([[0.0, 0.0], [4.0, 0.0]])
    # Greedily, the middle point would take the first head and leave the far one without.
    predicted = np.array([[1.5, 0.0], [-3.5, 0.0]])
    assert match_points(predicted, true, np.array([4.0, 4.0])) == 2
    assert match_points(np.array([[0.0, 0.0], [0.1, 0.0]]), true[:1], np.array([4.0])) == 1
    assert match_points(predicted, true, np.array([0.5, 0.5])) == 0
    assert match_points(predicted[:0], true, np.array([1.0, 1.0])) == 0


def test_detection_metrics():
    values = detection_metrics(6, 8, 12)
    assert values == {"precision": 0.75, "recall": 0.5, "f1": pytest.approx(0.6)}
    assert detection_metrics(0, 0, 0)["f1"] == 0
