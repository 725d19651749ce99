"""The pictures of a report: which are shown, and what is drawn in them."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


from edgecount.train.evaluate.evaluation import ImageRecord
from edgecount.train.report.pictures import (
    FOUND,
    MISSED,
    TRUTH,
    WRONG,
    choose,
    draw_density,
    draw_heads,
)
from reported import Counter, Detector, annotated, report


def colours(picture):
    return set(map(tuple, picture.reshape(-1, 3).tolist()))


def ring(left, top, right, bottom):
    """Return where the outline of a box, px of an image of 64, lies in its picture of 640."""
    inside = np.zeros((640, 640), bool)
    inside[10 * top : 10 * bottom, 10 * left : 10 * right] = True
    inside[10 * top + 1 : 10 * bottom - 1, 10 * left + 1 : 10 * right - 1] = False
    return inside


def test_the_worst_are_absolute_and_the_best_relative(tmp_path):
    counts = [(100, 110), (10, 12), (0, 0), (50, 50), (1000, 1001), (20, 60)]
    images = [ImageRecord("x", tmp_path, true, float(found)) for true, found in counts]
    assert choose(images, worst=2, best=3) == ([5, 0], [3, 4, 1])
    assert choose(images[:1]) == ([0], [])


def test_the_density_of_a_small_image_is_not_covered(tmp_path):
    image = np.full((160, 200, 3), 120, np.uint8)
    picture = draw_density(image, Counter().count(image))
    assert picture.shape == (512, 640, 3)
    changed = (picture != 120).any(2)
    assert changed[256, 320]  # the person
    assert changed[440:, :200].any()  # the legend
    changed[440:, :200] = False
    changed[200:312, 264:376] = False
    assert not changed.any()


def test_heads_are_marked_by_what_became_of_them(tmp_path):
    counter = Counter()
    cases = [
        ([[33, 33]], {FOUND}),
        ([[8, 8]], {MISSED, WRONG}),
        ([], {WRONG}),
        ([[32, 32], [8, 8]], {FOUND, MISSED}),
    ]
    for points, expected in cases:
        sample = annotated(tmp_path, "x", points)
        picture = draw_heads(sample.image(), counter.count(sample.image()), sample)
        assert max(picture.shape) == 640
        assert colours(picture) & {FOUND, MISSED, WRONG} == expected


def test_heads_outside_of_the_picture_are_drawn_at_most_in_part(tmp_path):
    heads = [[32, -6], [-40, -30], [1e8, 20], [20, -1e8], [30, 30], [12, 40]]
    _, text = report(tmp_path, Counter(), {"one": [annotated(tmp_path, "x", heads)]})
    assert "x: 6 people, 1.0 estimated" in text
    sample = annotated(tmp_path, "x", heads)
    boxes = np.concatenate([sample.points - 3, sample.points + 3], axis=1)
    for case in (sample, dataclasses.replace(sample, boxes=boxes)):
        picture = draw_heads(sample.image(), Detector().count(sample.image()), case)
        assert colours(picture) >= {FOUND, MISSED}


def test_boxes_are_drawn_where_the_model_gives_them(tmp_path):
    sample = annotated(tmp_path, "x", [[32, 33], [12, 40]])
    boxes = np.array([[26, 27, 38, 39], [8, 36, 16, 44]], np.float32)
    result = Detector().count(sample.image())
    picture = draw_heads(sample.image(), result, dataclasses.replace(sample, boxes=boxes))
    for box, colour in (
        ((28, 28, 36, 36), FOUND),
        ((26, 27, 38, 39), TRUTH),
        ((8, 36, 16, 44), MISSED),
        ((50, 4, 58, 12), WRONG),
    ):
        found = (picture[ring(*box)] == colour).all(1)
        assert found.mean() > 0.8, box
    # the wrong one alone is crossed out
    assert tuple(picture[80, 540]) == WRONG
    assert tuple(picture[320, 320]) == tuple(picture[400, 120]) == (120, 120, 120)


def test_heads_without_boxes_that_a_detector_misses_are_squares(tmp_path):
    sample = annotated(tmp_path, "x", [[32, 32], [12, 40]])
    picture = draw_heads(sample.image(), Detector().count(sample.image()), sample)
    assert colours(picture) >= {FOUND, MISSED, WRONG}
    assert (picture[ring(28, 28, 36, 36)] == FOUND).all(1).mean() > 0.8
    yellow = np.argwhere((picture == MISSED).all(2)) / 10
    assert np.abs(yellow - (40, 12)).max() < 2
