"""The interval of one camera from a few images of it."""

import dataclasses

import numpy as np
import pytest

from edgecount.manifest import IntervalSpec
from edgecount.train.postprocess.interval import CountedImage
from edgecount.train.postprocess.rescale import (
    can_fit,
    check_interval,
    check_rescaled,
    fewest_images,
    rescale,
)

SOURCE = IntervalSpec(0.9, 2.0, 3.0, floor=1.0, root=0.3, share=0.1, gap=0.2)


def counted(rng, number, wide=1.0):
    """Images whose errors are ``wide`` spreads of the source's interval."""
    counts = rng.uniform(5, 60, number)
    return [
        CountedImage(n, 0.0, max(n + wide * SOURCE.spread(n) * rng.standard_t(4), 0.0))
        for n in counts
    ]


def test_it_holds_for_the_next_image():
    rng = np.random.default_rng(0)
    for number in (10, 11, 20, 40):
        inside = []
        for _ in range(400):
            *seen, following = counted(rng, number + 1, wide=0.3)
            inside.append(check_interval(rescale(SOURCE, seen), [following]).coverage)
        assert 0.87 <= np.mean(inside) <= 0.97


def test_it_narrows_where_enough_images_show_it():
    seen = counted(np.random.default_rng(0), 40, wide=0.2)
    assert (
        check_interval(rescale(SOURCE, seen), seen).width < 0.6 * check_interval(SOURCE, seen).width
    )


def test_too_few_images_only_widen_it():
    assert fewest_images(0.9) == 10
    rng = np.random.default_rng(0)
    for number in (8, 9):
        assert rescale(SOURCE, counted(rng, number, wide=0.01)) == SOURCE
    assert rescale(SOURCE, []) == SOURCE
    far = [CountedImage(10.0, 0.0, 10.0 + 2 * SOURCE.spread(10.0))] * 5
    wider = rescale(SOURCE, far)
    assert (wider.below, wider.above) == pytest.approx((5.85, 5.85), abs=0.01)
    assert dataclasses.replace(wider, below=2.0, above=3.0) == SOURCE


def test_five_images_widen_it_enough_for_the_next():
    rng = np.random.default_rng(0)
    spreads = rng.laplace(0, 3, (4000, 6))  # beyond the source's ends
    inside = []
    for errors in spreads:
        *seen, following = (CountedImage(50.0, 0.0, 50 + e * SOURCE.spread(50)) for e in errors)
        inside.append(check_interval(rescale(SOURCE, seen), [following]).coverage)
    assert 0.88 < np.mean(inside) < 0.95


@pytest.mark.parametrize("number", range(5, 13))
@pytest.mark.parametrize("wide", [0.05, 3.0])
def test_what_is_measured_is_the_interval_that_is_made(number, wide):
    seen = counted(np.random.default_rng(number), number, wide=wide)
    folds = [range(part, number, 4) for part in range(4)]
    made, found = rescale(SOURCE, seen), check_rescaled(SOURCE, seen, folds)
    assert can_fit(SOURCE, seen) == (number >= 10)
    assert found.width == check_interval(made, seen).width
    errors = [abs(one.true - one.count) / SOURCE.spread(one.count) for one in seen]
    if number < 10:
        assert (made.below >= SOURCE.below, made.above >= SOURCE.above) == (True, True)
        if wide < 1:  # inside the source's ends with or without one of them
            assert found.coverage == 1
    else:
        # Of 9 others the quantile is the largest: the largest of all alone lies outside.
        assert made.below == made.above == pytest.approx(max(errors))
        assert found.coverage == pytest.approx(1 - 1 / number)


def test_coverage_is_that_of_images_left_out():
    seen = counted(np.random.default_rng(1), 20, wide=0.3)
    folds = [range(start, start + 5) for start in (0, 5, 10, 15)]
    found = check_rescaled(SOURCE, seen, folds)
    assert 0.7 <= found.coverage <= 1
    assert found.width < check_interval(SOURCE, seen).width
    one = check_rescaled(SOURCE, seen, [range(20)])  # image by image
    assert one.coverage == pytest.approx(0.9, abs=0.051)
