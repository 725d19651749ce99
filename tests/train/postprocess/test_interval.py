"""The interval: it covers what it says, of images that it was not fitted to."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount.errors import ConfigError
from edgecount.manifest import IntervalSpec
from edgecount.train.postprocess.interval import (
    FEWEST,
    CountedImage,
    cross_coverage,
    fit_interval,
    new_set_coverage,
)


def outcomes(rng, images, people, share, root=0.0):
    """Draw counts of about ``people``, off by Laplace errors of a share of them and of the root."""
    true = rng.uniform(0.5, 1.5, images) * people
    count = true + rng.laplace(0, 1, images) * (share * true + root * np.sqrt(true))
    return [CountedImage(max(c, 0.0), 0.0, t) for c, t in zip(count, true, strict=True)]


def coverage_of(spec, images):
    ends = [spec.around(image.count, image.difference) for image in images]
    return np.mean([low <= i.true <= high for i, (low, high) in zip(images, ends, strict=True)])


def test_it_covers_images_that_it_has_not_seen():
    rng = np.random.default_rng(0)
    spec = fit_interval([outcomes(rng, 300, 100, 0.1), outcomes(rng, 300, 600, 0.1)])
    for people in (100, 600):
        assert 0.86 < coverage_of(spec, outcomes(rng, 4000, people, 0.1)) < 0.94


def test_cross_coverage_is_near_what_is_asked_for():
    rng = np.random.default_rng(1)
    groups = [outcomes(rng, 80, 120, 0.05, 0.4), outcomes(rng, 60, 500, 0.05, 0.4)]
    assert np.mean(cross_coverage(groups)) == pytest.approx(0.9, abs=0.06)


def test_streams_that_disagree_widen_it():
    rng = np.random.default_rng(2)
    differences = rng.normal(0, 10, 400)
    errors = rng.laplace(0, 0.5, 400) * np.abs(differences)
    group = [
        CountedImage(50 + error, difference, 50)
        for error, difference in zip(errors, differences, strict=True)
    ]
    spec = fit_interval([group])
    narrow, wide = spec.around(50, 1.0), spec.around(50, 20.0)
    assert wide[1] - wide[0] > 4 * (narrow[1] - narrow[0])


def test_a_bias_makes_it_lopsided():
    rng = np.random.default_rng(3)
    group = [CountedImage(1.2 * t, 0.0, t) for t in rng.uniform(50, 100, 200)]
    low, high = fit_interval([group]).around(80.0)
    assert low < 80 / 1.2 + 1
    assert high - 80 < 80 - low


def test_too_few_images_give_none():
    rng = np.random.default_rng(4)
    assert fit_interval([outcomes(rng, FEWEST - 1, 50, 0.1)]) is None
    assert fit_interval([[], outcomes(rng, FEWEST, 50, 0.1)]) is not None


def test_streams_that_there_are_not_have_no_weight():
    rng = np.random.default_rng(5)
    assert fit_interval([outcomes(rng, 60, 50, 0.1)]).gap == 0.0


def test_neighbours_are_left_out_together():
    """Errors that last along a video: an image's neighbours would tell of its own."""
    errors = np.repeat([0, 10, -10, 40, -40], 20)
    video = [CountedImage(100.0 + error, 0.0, 100.0) for error in errors]
    (found,) = cross_coverage([video])
    assert found <= 0.6


def test_too_few_images_beside_a_fold_are_named():
    rng = np.random.default_rng(8)
    with pytest.raises(ConfigError, match="expected 20 images or more beside each fold, got 16"):
        cross_coverage([outcomes(rng, 20, 50, 0.1)])
    assert len(cross_coverage([outcomes(rng, 40, 50, 0.1), outcomes(rng, 3, 50, 0.1)])) == 2


def test_a_coverage_that_so_few_images_cannot_show():
    rng = np.random.default_rng(9)
    assert fit_interval([outcomes(rng, 60, 50, 0.1)], coverage=0.99) is None


def test_perfect_counts_still_leave_room():
    low, high = fit_interval([[CountedImage(t, 0.0, t) for t in range(40)]]).around(20.0)
    assert low <= 20 <= high


def test_ends():
    spec = IntervalSpec(0.9, below=2.0, above=1.0, floor=3.0, root=2.0, share=0.1, gap=0.5)
    low, high = spec.around(100.0, -24.0)
    spread = np.sqrt(9 + 4 * 100 + 100 + 144)
    assert (low, high) == pytest.approx((100 - 2 * spread, 100 + spread))
    assert spec.around(0.0) == (0.0, 3.0)


def places(rng, number, images=40):
    """Draw cameras, each with a bias of its own that its images share."""
    found = []
    for _ in range(number):
        people, bias = np.exp(rng.uniform(2.3, 5.5)), rng.normal(0, 0.15)
        group = outcomes(rng, images, people, 0.04)
        found.append([CountedImage(one.count * (1 + bias), 0.0, one.true) for one in group])
    return found


def test_it_covers_cameras_that_it_has_not_seen():
    covered = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        spec = fit_interval(places(rng, 8))
        covered += [coverage_of(spec, new) for new in places(rng, 60)]
    assert np.mean(covered) > 0.86


def test_new_set_coverage_is_that_of_sets_left_out():
    rng = np.random.default_rng(6)
    groups = places(rng, 7)
    found = new_set_coverage(groups)
    spec = fit_interval(groups[1:])
    assert found[0][0] == coverage_of(spec, groups[0])
    assert np.mean([share for share, _ in found]) > 0.8
    wider = new_set_coverage(
        [*groups[:-1], [dataclasses.replace(one, true=one.true * 1.4) for one in groups[-1]]]
    )
    assert wider[0][1] > found[0][1]
    with pytest.raises(ConfigError, match="20 images or more beside group 0, got 5"):
        new_set_coverage([groups[0], groups[1][:5]])


def test_a_set_of_few_images_may_have_one_outside():
    rng = np.random.default_rng(7)
    groups = [outcomes(rng, 60, 100, 0.05) for _ in range(4)]
    spec = fit_interval(groups)
    odd = [*groups, [*outcomes(rng, 5, 100, 0.05), CountedImage(100.0, 0.0, 400.0)]]
    assert fit_interval(odd).above < 1.6 * spec.above


@pytest.mark.parametrize("counted", [0.0, 1e-3, 0.05, 0.2])
def test_sets_without_errors_do_not_make_that_of_others_wide(counted):
    rng = np.random.default_rng(0)
    camera = [CountedImage(t + 2 * rng.normal(), 0.0, t) for t in rng.uniform(5, 50, 30)]

    def nobody():
        return [CountedImage(abs(counted * rng.normal()), 0.0, 0.0) for _ in range(30)]

    low, high = fit_interval([camera, nobody(), nobody()]).around(20)
    assert 5 < low < 18
    assert 22 < high < 40
