"""Peaks against the plain reference: ties, plateaus, borders, shapes, precisions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import reference
from edgecount import _ext

# Few levels, so that most cells tie with a neighbour: the rule lives on ties.
LEVELS = [-0.5, -0.0, 0.0, 0.1, 0.4, 0.5, 0.5, 0.75, 1.0]


@st.composite
def tied_maps(draw, max_side=24, max_batch=3):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=max_side))
    batch = draw(st.integers(1, max_batch))
    dtype = draw(st.sampled_from([np.float32, np.float16]))
    levels = np.array(LEVELS[-draw(st.integers(1, len(LEVELS))) :], dtype)
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).choice(levels, (batch, *shape))


def assert_same_peaks(got, expected):
    for got_peaks, expected_peaks in zip(got.peaks, expected.peaks, strict=True):
        assert got_peaks.dtype == np.float32
        np.testing.assert_array_equal(got_peaks, expected_peaks)
    np.testing.assert_array_equal(got.peak_count, expected.peak_count)
    np.testing.assert_array_equal(got.overflow, expected.overflow)
    np.testing.assert_array_equal(got.count, expected.count)


@given(
    heatmap=tied_maps(),
    window=st.sampled_from([3, 5, 7]),
    threshold=st.sampled_from([0.0, 0.1, 0.4, 0.45, 1.0]),
    capacity=st.sampled_from([0, 1, 3, 1000]),
)
def test_ties_and_plateaus(heatmap, window, threshold, capacity):
    options = {"window": window, "threshold": threshold, "capacity": capacity}
    assert_same_peaks(_ext.count_maps(heatmap, **options), reference.count_maps(heatmap, **options))


@given(
    heatmap=hnp.arrays(
        st.sampled_from([np.float32, np.float16]),
        st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 40)),
        elements=st.floats(-100, 100, width=16),
    ),
    window=st.sampled_from([3, 5, 7]),
    threshold=st.floats(0, 100, width=32),
)
def test_any_values(heatmap, window, threshold):
    options = {"window": window, "threshold": threshold}
    assert_same_peaks(_ext.count_maps(heatmap, **options), reference.count_maps(heatmap, **options))


@pytest.mark.parametrize("window", [3, 5, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 200])
def test_every_tail_of_a_vector(rng, width, dtype, window):
    heatmap = rng.choice(np.linspace(0, 1, 40), (1, 9, width)).astype(dtype)
    options = {"window": window, "threshold": 0.3}
    assert_same_peaks(_ext.count_maps(heatmap, **options), reference.count_maps(heatmap, **options))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (7, 1), (1, 7)])
@pytest.mark.parametrize("window", [3, 5, 7])
def test_thin_maps(rng, shape, window):
    heatmap = rng.random((2, *shape), dtype=np.float32)
    options = {"window": window, "threshold": 0.2}
    assert_same_peaks(_ext.count_maps(heatmap, **options), reference.count_maps(heatmap, **options))


@pytest.mark.parametrize("window", [3, 5, 7])
def test_one_plateau_in_a_window_is_one_peak(window):
    heatmap = np.zeros((1, 20, 20), np.float32)
    radius = window // 2
    heatmap[0, 8 : 8 + radius + 1, 9 : 9 + radius + 1] = 1.0
    counts = _ext.count_maps(heatmap, window=window)
    assert counts.peak_count[0] == 1
    # The first cell of the plateau, moved half a cell towards the neighbour that ties with it.
    assert counts.peaks[0][0].tolist() == [9 + 0.5 + 0.5, 8 + 0.5 + 0.5, 1.0]


def test_peaks_on_all_corners_and_borders():
    heatmap = np.zeros((1, 9, 9), np.float32)
    heatmap[0, ::4, ::4] = [[0.5, 0.6, 0.7], [0.8, 0.9, 1.0], [0.55, 0.65, 0.75]]
    peaks = _ext.count_maps(heatmap).peaks[0]
    expected = [[x + 0.5, y + 0.5, heatmap[0, y, x]] for y in (0, 4, 8) for x in (0, 4, 8)]
    np.testing.assert_array_equal(peaks, np.array(expected, np.float32))


def test_the_threshold_is_strict_and_a_float32():
    heatmap = np.full((1, 1, 1), 0.4, np.float32)
    assert _ext.count_maps(heatmap, threshold=0.4).peak_count[0] == 0
    below = float(np.nextafter(np.float32(0.4), np.float32(0)))
    assert _ext.count_maps(heatmap, threshold=below).peak_count[0] == 1


def test_subpixel_follows_a_parabola():
    y, x = np.mgrid[:11, :13]
    heatmap = (1 - 0.01 * (x - 6.3) ** 2 - 0.02 * (y - 4.8) ** 2).astype(np.float32)[None]
    (peak,) = _ext.count_maps(heatmap, threshold=0.9, window=7).peaks[0]
    np.testing.assert_allclose(peak[:2], [6.8, 5.3], atol=1e-4)


def test_huge_values_do_not_overflow():
    heatmap = np.full((1, 3, 3), -3e38, np.float32)
    heatmap[0, 1, 1] = 3e38
    (peak,) = _ext.count_maps(heatmap).peaks[0]
    np.testing.assert_array_equal(peak, np.array([1.5, 1.5, 3e38], np.float32))


def test_subnormals_are_told_apart():
    half = np.array([[[0, 1, 2, 1, 0]]], np.uint16).view(np.float16)
    counts = _ext.count_maps(half, threshold=0.0)
    assert counts.peak_count[0] == 1
    assert counts.peaks[0][0, 2] == 2 * 2.0**-24
    single = np.array([[[0, 1, 2, 1, 0]]], np.uint32).view(np.float32)
    assert _ext.count_maps(single, threshold=0.0).peak_count[0] == 1


def test_subnormals_survive_a_thread_that_flushes_them():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    flush = np.float32(1e-40)
    half = np.array([[[0, 1, 2, 1, 0]]], np.uint16).view(np.float16)
    assert torch.set_flush_denormal(True)
    try:
        counts = _ext.count_maps(half, density=half, threshold=0.0)
        still_flushed = float(torch.tensor(flush) * 1.0) == 0.0
    finally:
        torch.set_flush_denormal(False)
    assert counts.peak_count[0] == 1
    assert counts.density_sum[0] == 4 * 2.0**-24
    assert still_flushed


def test_every_half_is_read_right():
    halves = np.arange(1, 0x7C00, dtype=np.uint16).view(np.float16)
    # One value a map, so that each is its own peak.
    counts = _ext.count_maps(halves.reshape(-1, 1, 1), threshold=0.0)
    got = np.concatenate(counts.peaks)[:, 2]
    np.testing.assert_array_equal(got, halves.astype(np.float32))
    signed = np.arange(2**16, dtype=np.uint16).view(np.float16)
    signed = signed[np.isfinite(signed)].reshape(-1, 1, 1)
    density = _ext.count_maps(density=signed).density_sum
    np.testing.assert_array_equal(density, signed[:, 0, 0].astype(np.float64))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_any_threshold_is_met_exactly(rng, dtype):
    values = np.sort(np.abs(rng.normal(size=300)).astype(dtype))
    thresholds = np.concatenate([values, np.nextafter(values, dtype(0)), [0, 7e4, 1e-8]])
    for threshold in thresholds.astype(np.float32):
        counts = _ext.count_maps(values.reshape(-1, 1, 1), threshold=float(threshold))
        np.testing.assert_array_equal(counts.peak_count, values.astype(np.float32) > threshold)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_offsets_place_the_points(rng, dtype):
    heatmap = rng.random((2, 12, 17)).astype(dtype)
    offset = rng.normal(0.5, 0.3, (2, 2, 12, 17)).astype(dtype)
    assert_same_peaks(_ext.count_maps(heatmap, offset), reference.count_maps(heatmap, offset))


def test_offsets_count_only_at_peaks():
    heatmap = np.zeros((1, 3, 3), np.float32)
    heatmap[0, 1, 1] = 1.0
    offset = np.full((1, 2, 3, 3), np.nan, np.float32)
    offset[0, :, 1, 1] = 0.25, 0.75
    np.testing.assert_array_equal(_ext.count_maps(heatmap, offset).peaks[0], [[1.25, 1.75, 1.0]])


def test_capacity_cuts_the_list_and_says_so(rng):
    heatmap = rng.random((2, 30, 30), dtype=np.float32)
    heatmap[1] = 0
    heatmap[1, 3, 3] = 1
    everything = _ext.count_maps(heatmap)
    cut = _ext.count_maps(heatmap, capacity=5)
    assert cut.overflow.tolist() == [True, False]
    np.testing.assert_array_equal(cut.peaks[0], everything.peaks[0][:5])
    np.testing.assert_array_equal(cut.peak_count, everything.peak_count)
    np.testing.assert_array_equal(cut.count, everything.count)
    exact = _ext.count_maps(heatmap, capacity=int(everything.peak_count[0]))
    assert not exact.overflow.any()


def rounded(values, rng, noise=1e-6):
    """Return float32 values that are off by as much as rounding may make them."""
    return (values + rng.uniform(-noise, noise, values.shape)).astype(np.float32)


def head(logit, spread, size=48):
    """Return the scores of one head whose logit is so high that float32 cannot tell its cells."""
    y, x = np.mgrid[:size, :size] - size / 2
    logits = (logit + 6) * np.exp(-(x**2 + y**2) / (2 * spread**2)) - 6
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("window", [3, 5, 7])
@pytest.mark.parametrize("logit", [8, 12, 16, 20])
def test_the_last_bits_of_a_saturated_head_make_no_peaks(rng, logit, window):
    for _ in range(5):
        heatmap = rounded(head(logit, spread=8), rng)[None]
        assert _ext.count_maps(heatmap, window=window).peak_count[0] == 1


def test_a_noisy_plateau_is_one_peak_wherever_it_lies(rng):
    heatmap = np.zeros((1, 80, 90), np.float32)
    heatmap[0, :12, :20] = rounded(np.full((12, 20), 0.7), rng)
    heatmap[0, 70:, 60:] = rounded(np.full((10, 30), 0.5), rng)
    heatmap[0, 30:50, 40] = rounded(np.full(20, 0.9), rng)
    counts = _ext.count_maps(heatmap)
    assert counts.peak_count[0] == 3
    assert counts.peaks[0][:, 2].tolist() == [
        heatmap[0, :12, :20].max(),
        heatmap[0, 30:50, 40].max(),
        heatmap[0, 70:].max(),
    ]


def test_halves_may_be_a_step_off(rng):
    heatmap = np.zeros((1, 40, 40), np.float16)
    steps = rng.integers(0, 3, (20, 20), dtype=np.uint16)
    heatmap[0, 10:30, 10:30] = (np.uint16(0x3C00) - steps).view(np.float16)
    assert _ext.count_maps(heatmap).peak_count[0] == 1


def test_a_shelf_beside_a_higher_head_is_no_peak(rng):
    # Rounding makes the highest of a shelf's cells one that the window has no higher one around.
    heatmap = np.zeros((1, 30, 40), np.float32)
    heatmap[0, 10:20, 5:25] = rounded(np.full((10, 20), 0.6), rng)
    heatmap[0, 10:20, 25] = 0.8
    heatmap[0, 14, 25] = 0.9
    assert _ext.count_maps(heatmap).peak_count[0] == 1


@pytest.mark.parametrize(("dip", "peaks"), [(2e-4, 2), (2e-5, 1)])
def test_two_heads_are_told_apart_by_what_lies_between(dip, peaks):
    heatmap = np.zeros((1, 5, 9), np.float32)
    heatmap[0, 2, 2:7] = 0.8, 0.8 - dip, 0.8 - dip, 0.8 - dip, 0.81
    assert _ext.count_maps(heatmap).peak_count[0] == peaks


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("window", [3, 5, 7])
def test_plateaus_with_holes_as_in_the_reference(rng, dtype, window):
    for shape in ((20, 33), (70, 80), (9, 140)):
        heatmap = np.full((1, *shape), 1, dtype)
        kind = np.uint32 if dtype is np.float32 else np.uint16
        steps = rng.integers(0, 3 if dtype is np.float16 else 900, heatmap.shape).astype(kind)
        heatmap = (heatmap.view(kind) - steps).view(dtype)
        heatmap[rng.random(heatmap.shape) < 0.5] = 0.5
        options = {"window": window, "threshold": 0.6}
        assert_same_peaks(
            _ext.count_maps(heatmap, **options), reference.count_maps(heatmap, **options)
        )
