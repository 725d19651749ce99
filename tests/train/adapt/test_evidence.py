"""Conclusions from few errors, and their limits."""

import math

import numpy as np
import pytest

from edgecount.train.adapt.evidence import Comparison, compare, learning_curve


def test_a_difference_is_judged_image_by_image():
    crowds = np.array([1.0, 2, 30, 4])  # errors that vary more than they fall
    found = compare(crowds, crowds - 0.9)
    assert found.noise == pytest.approx(0, abs=1e-9)
    assert found.verdict == "better"
    assert compare(crowds, crowds + 0.9).verdict == "worse"
    assert compare(crowds, crowds).verdict == "open"


def test_what_may_be_chance_stays_open():
    assert compare([3, 1, 2, 5, 1], [1, 2, 3, 3, 2]).verdict == "open"
    assert compare([3.0], [1.0]).verdict == "open"
    assert Comparison(3, 2, 1.1).verdict == "open"
    assert Comparison(3, 2, 1.1).likely_better  # the better choice, though it is not certain
    assert not Comparison(2, 3, 5).likely_better
    assert not Comparison(3, 2.99, 1e-6).likely_better  # a change that nobody needs
    assert Comparison(3, 2, 0.9).verdict == "better"


def test_an_error_that_falls_goes_on_falling():
    rng = np.random.default_rng(0)
    few = rng.uniform(3.5, 4.5, 20)
    curve = learning_curve(5, few, 15, few * (15 / 5) ** -0.3)
    assert curve.slope == pytest.approx(0.3)
    assert curve.rises
    expected, low, high = curve.at(40)
    assert expected == pytest.approx(curve.few[1] * (40 / 5) ** -0.3)
    assert low <= expected <= high < curve.most[1]


def test_an_error_that_does_not_fall_promises_nothing():
    rng = np.random.default_rng(0)
    few, most = rng.uniform(0, 4, (2, 5))
    curve = learning_curve(1, few, 4, most)
    assert not curve.rises
    assert curve.at(10)[2] == pytest.approx(curve.most[1])
    assert learning_curve(1, [9.0, 9.0], 4, [0.0, 0.0]).slope == 0.5
    assert math.isfinite(learning_curve(1, [0.0], 4, [0.0]).at(10)[0])
