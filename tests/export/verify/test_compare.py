"""The proof: what it compares, and when it refuses."""

import dataclasses

import numpy as np
import pytest
from graphs import small_manifest

from edgecount import EdgeCounter, FakeBackend
from edgecount.export.verify.compare import NamedImage, compare, count_images, grid, match
from edgecount.manifest import Manifest, OutputSpec
from edgecount.runtime.backends.base import Backend


class Heads(Backend):
    """A density and a heatmap with one head in each of some cells."""

    name = "heads"

    def __init__(self, cells, people=1.0):
        self.cells, self.people = cells, people

    def infer(self, inputs):
        height, width = inputs["image"].shape[2:]
        density = np.zeros((1, 1, height // 8, width // 8), np.float32)
        heat = np.zeros((1, 1, height // 4, width // 4), np.float32)
        for row, column in self.cells:
            density[0, 0, row, column] += self.people
            heat[0, 0, 2 * row, 2 * column] = 0.9
        return {"density": density, "heat": heat}

    def close(self):
        pass


def counter(cells, people=1.0):
    return EdgeCounter(small_manifest(), backend=Heads(cells, people))


PICTURES = [NamedImage(f"{i}", np.zeros((64, 96, 3), np.uint8)) for i in range(3)]
CELLS = [(1, 1), (3, 4), (6, 9), (7, 11)]


def test_equal_models_pass_a_gate_of_nothing():
    with counter(CELLS) as ours, counter(CELLS) as theirs:
        comparison = compare(PICTURES, count_images(ours, PICTURES), theirs, 0.0)
    assert comparison.passed
    assert comparison.mean_count == 4
    assert comparison.relative == comparison.bias == 0
    assert comparison.matched == 1.0
    assert comparison.to_dict()["regions"] == 0


def test_a_head_less_shows_everywhere():
    with counter(CELLS) as ours, counter(CELLS[:3]) as theirs:
        comparison = compare(PICTURES, count_images(ours, PICTURES), theirs, 0.2)
    assert not comparison.passed
    assert comparison.relative == pytest.approx(0.25)
    assert comparison.bias == pytest.approx(-1)
    assert comparison.matched == pytest.approx(6 / 7)
    assert comparison.images[0].regions == pytest.approx(1 / 16)
    assert comparison.images[0].density == (4.0, 3.0)
    assert comparison.images[0].points == (4, 3)


def test_detectors_are_compared_by_their_boxes():
    outputs = (OutputSpec("s", "scores", 8), OutputSpec("b", "boxes", 8))
    manifest = dataclasses.replace(small_manifest(), outputs=outputs)

    def seen(*people):
        return EdgeCounter(manifest, backend=FakeBackend(people))

    # One head moved by a cell is the same head, one by two cells is not.
    with seen((20, 20), (60, 20), (60, 52)) as ours, seen((20, 20), (68, 20), (76, 52)) as theirs:
        comparison = compare(PICTURES, count_images(ours, PICTURES), theirs, 0.2)
    assert comparison.images[0].points == (3, 3)
    assert comparison.images[0].density is None
    assert comparison.images[0].matched == 2
    assert comparison.relative == 0


def test_the_worst_picture_is_kept():
    class OneOff(Heads):
        calls = 0

        def infer(self, inputs):
            self.calls += 1
            self.people = 3.0 if self.calls == 2 else 1.0
            return super().infer(inputs)

    with counter(CELLS) as ours, EdgeCounter(small_manifest(), backend=OneOff(CELLS)) as theirs:
        comparison = compare(PICTURES, count_images(ours, PICTURES), theirs, 1.0)
    assert comparison.worst[0].name == "1"
    assert comparison.worst[2].count == pytest.approx(12)
    assert comparison.difference == pytest.approx(8 / 3)


def test_empty_pictures_count_as_one_person():
    with counter([]) as ours, counter(CELLS[:1]) as theirs:
        comparison = compare(PICTURES, count_images(ours, PICTURES), theirs, 0.03)
    assert comparison.relative == pytest.approx(1.0)
    assert comparison.matched == 0


def test_a_model_without_points():
    manifest = small_manifest()
    only = Manifest(
        "density",
        "1",
        "",
        manifest.input,
        (OutputSpec("density", "density", 8),),
    )
    with EdgeCounter(only, backend=FakeBackend()) as one:
        comparison = compare(PICTURES, count_images(one, PICTURES), one, 0.0)
    assert comparison.matched is None
    assert comparison.images[0].points is None
    assert comparison.to_dict()["points_matched"] is None


def test_matching_is_mutual():
    ours = np.array([[0, 0], [10, 0], [11, 0]], np.float32)
    theirs = np.array([[0, 1], [10.4, 0]], np.float32)
    assert match(ours, theirs, 4.0) == 2
    assert match(ours, theirs, 0.5) == 1
    assert match(ours[:0], theirs, 4.0) == match(ours, theirs[:0], 4.0) == 0


def test_matching_many_points_in_parts():
    rng = np.random.default_rng(0)
    ours = rng.uniform(0, 4000, (2500, 2)).astype(np.float32)
    assert match(ours, ours + np.float32(0.01), 4.0) == 2500


def test_the_grid_covers_the_image():
    cells = grid(100, 60)
    assert len(cells) == 16
    xs = [x for polygon in cells.values() for x, _ in polygon]
    assert (min(xs), max(xs)) == (0, 100)
