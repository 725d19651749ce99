"""Candidates of a result: ranked by score, matched with the heads of their image."""

import dataclasses
from pathlib import Path

import numpy as np

from edgecount import EdgeCounter, FakeBackend
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.candidates import rank, summarise

BLANK = EdgeCounter(backend=FakeBackend([])).count(np.zeros((64, 64, 3), np.uint8))


def result(points, boxes=None):
    boxes = None if boxes is None else np.array(boxes, np.float32).reshape(-1, 4)
    points = np.array(points, np.float32).reshape(-1, 3)
    return dataclasses.replace(BLANK, points=points, peak_count=len(points), boxes=boxes)


def sample(points, boxes=None):
    boxes = None if boxes is None else np.array(boxes, np.float32).reshape(-1, 4)
    points = np.array(points, np.float32).reshape(-1, 2)
    return Sample(Path("a.jpg"), points, np.full(len(points), 8, np.float32), boxes)


def ranked(found, image):
    return rank(found, image, {"4": np.full(len(image.points), 4.0)})


def test_the_better_of_two_points_has_the_head_whichever_comes_first():
    # Peaks of a heatmap come from top to bottom: here the worse one first, both within 4 px.
    one = ranked(result([[20, 19, 0.2], [20, 22, 0.9]]), sample([[20, 20]]))
    assert one.scores.tolist() == np.array([0.9, 0.2], np.float32).tolist()
    assert one.found["4"].tolist() == [True, False]
    assert summarise([one])["points"]["4"] == {"ap": 1.0, "recall": 1.0}


def test_an_image_without_people_has_no_boxes_and_leaves_those_of_the_others():
    box = [[16, 16, 24, 24]]
    person = ranked(result([[20, 20, 0.5]], box), sample([[20, 20]], box))
    nobody = ranked(result([[20, 20, 0.9]], box), sample([]))
    assert summarise([person])["boxes"]["ap"] == 1.0
    # The better candidate is wrong: precision 1/2 at every recall.
    assert summarise([person, nobody])["boxes"]["ap50"] == 0.5


def test_boxes_are_not_ranked_where_heads_are_points():
    one = ranked(result([[20, 20, 0.5]], [[16, 16, 24, 24]]), sample([[20, 20]]))
    assert "boxes" not in summarise([one])
