"""Threshold and blend fitted anew, and the errors that are said of them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from edgecount.manifest import FusionSpec, PostprocessSpec
from edgecount.train.adapt import run
from edgecount.train.adapt.folds import cross_folds
from edgecount.train.adapt.measure import Abilities
from edgecount.train.adapt.refit import Refit, refit
from edgecount.train.adapt.trainings import Camera, LeftOut, Tuner
from edgecount.train.adapt.tune import tuning_config
from edgecount.train.data.readers.samples import from_points
from edgecount.train.engine import THRESHOLDS, WINDOW
from edgecount.train.open_trainable import open_trainable
from edgecount.train.postprocess.fusion import Observation, outcome
from edgecount.train.postprocess.interval import CountedImage

FOLDS = [[*range(start, start + 6)] for start in (0, 6, 12, 18)]


def seen_with(people, density, points):
    """Return an image of one cell, whose points are right at the least threshold alone."""
    cell = np.array([[float(density)]])
    peaks = {
        threshold: np.array([[float(points if threshold == min(THRESHOLDS) else points / 2)]])
        for threshold in THRESHOLDS
    }
    matches = {threshold: int(peaks[threshold].sum()) for threshold in THRESHOLDS}
    return Observation(cell, cell, peaks, matches, people)


@pytest.fixture
def source():
    return PostprocessSpec(WINDOW, max(THRESHOLDS), FusionSpec(low=8.0, high=20.0))


def test_few_and_most_are_measured_by_the_same_spec(source):
    observed = {index: seen_with(4 + index % 6, 0.0, 4 + index % 6) for index in range(24)}
    found = refit(observed, FOLDS, source)
    assert isinstance(found, Refit)
    assert found.spec.threshold == min(THRESHOLDS)
    assert all(one.count == one.true for one in found.counted.values())
    assert {found.specs[index].threshold for index in range(24)} == {min(THRESHOLDS)}
    # Networks of few images see one head less, or two: 1.5 in the mean, by the new threshold.
    by_few = {
        index: [seen_with(4 + index % 6, 0.0, 4 + index % 6 - missed) for missed in (1, 2)]
        for index in range(24)
    }
    assert set(found.errors_of(by_few).values()) == {1.5}


def test_the_curve_ends_at_the_error_of_the_refitted_model(source, monkeypatch):
    people = [4 + index % 6 for index in range(24)]
    samples = [from_points(Path(f"{n:02d}.jpg"), np.ones((p, 2))) for n, p in enumerate(people)]
    network, manifest, objective = open_trainable("edgecount-n")
    manifest = dataclasses.replace(manifest, postprocess=source)
    tuner = Tuner(network, manifest, tuning_config(manifest.name, objective, 8, 1e-4), [])
    right = {index: seen_with(p, 0.0, p) for index, p in enumerate(people)}
    seen = LeftOut(
        [network],
        {index: outcome(one, source) for index, one in right.items()},
        right,
        dict.fromkeys(right, 9.0),
        {index: [seen_with(p, 0.0, p - 1)] for index, p in enumerate(people)},
    )
    before = [CountedImage(p / 2, 0.0, float(p)) for p in people]
    monkeypatch.setattr(run, "count_all", lambda *_: before)
    monkeypatch.setattr(run, "compare_abilities", lambda *_: Abilities(1, 0.1, 0.1, lost=False))
    done = run._conclude(tuner, cross_folds(samples), Camera(samples), seen, [])
    assert done.refitted
    assert done.after == done.curve.most[1] == 0.0
    assert done.curve.few[1] == 1.0


def test_images_are_too_few(source):
    observed = {index: seen_with(4, 0.0, 4) for index in range(19)}
    assert refit(observed, [[*range(10)], [*range(10, 19)]], source) is None
