"""Arguments that the kernels refuse, and their messages."""

from __future__ import annotations

import numpy as np
import pytest

from edgecount import _ext

HEATMAP = np.zeros((2, 6, 8), np.float32)
DENSITY = np.zeros((2, 3, 4), np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["heatmap", "density"])
@pytest.mark.parametrize("place", [(0, 0), (19, 36), (7, 33), (12, 0)])
def test_non_finite_values_name_the_map_and_the_image(name, bad, dtype, place):
    maps = np.zeros((3, 20, 37), dtype)
    maps[1][place] = bad
    with pytest.raises(ValueError, match=f"^{name}: expected finite values.* image 1 of"):
        _ext.count_maps(**{name: maps})


def test_a_nan_cannot_hide_behind_an_infinity():
    density = np.zeros((1, 4, 4), np.float32)
    density[0, :2, 0] = np.inf, -np.inf
    with pytest.raises(ValueError, match=r"^density: expected finite"):
        _ext.count_maps(density=density)


def test_non_finite_offsets_at_peaks():
    heatmap = np.zeros((2, 3, 3), np.float32)
    heatmap[1, 1, 1] = 1
    offset = np.zeros((2, 2, 3, 3), np.float32)
    offset[1, 1, 1, 1] = np.nan
    with pytest.raises(ValueError, match=r"^offset: expected finite values.* image 1 of"):
        _ext.count_maps(heatmap, offset)


@pytest.mark.parametrize("bad", [("heatmap", "offset", "density"), ("offset", "density")])
def test_of_several_bad_maps_the_first_is_named(bad):
    # More peaks than are placed in one go, and the heatmap's bad cell below all of them.
    maps = {
        "heatmap": np.zeros((3, 40, 60), np.float32),
        "offset": np.zeros((3, 2, 40, 60), np.float32),
        "density": np.zeros((3, 40, 60), np.float32),
    }
    maps["heatmap"][:, ::2, ::2] = 1
    for name in bad:
        maps[name][1:].reshape(2, -1)[:, 0 if name == "offset" else -1] = np.nan
    with pytest.raises(ValueError, match=f"^{bad[0]}: expected finite values.* image 1 of"):
        _ext.count_maps(**maps)


def test_a_bad_image_comes_before_a_worse_one():
    heatmap = np.zeros((2, 3, 3), np.float32)
    heatmap[1] = np.nan
    density = heatmap[::-1].copy()
    with pytest.raises(ValueError, match=r"^density: expected finite values.* image 0 of"):
        _ext.count_maps(heatmap, density=density)


@pytest.mark.parametrize("name", ["heatmap", "offset", "density", "masks"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[[0.0]]], "a NumPy array of numbers in CPU memory, got list"),
        ("map", "got str"),
        (3.5, "got float"),
        (np.zeros((1, 1, 1), object), "got ndarray"),
        (np.zeros((1, 1, 1)), "dtype float32 or float16, got float64"),
        (np.zeros((1, 1, 1), np.uint8), "got uint8"),
        (np.zeros((1, 1, 1), np.int64), "got int64"),
        (np.zeros((1, 1, 1), np.bool_), "got bool"),
    ],
)
def test_wrong_types(name, value, message):
    maps = {"heatmap": HEATMAP} | {name: value}
    with pytest.raises(TypeError, match=f"^{name}: expected .*{message}"):
        _ext.count_maps(**maps)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({"heatmap": np.zeros((6, 8), np.float32)}, r"heatmap: .*\(B, H, W\), got \(6, 8\)"),
        ({"heatmap": np.zeros(6, np.float32)}, r"heatmap: .*got \(6,\)"),
        ({"heatmap": HEATMAP[None]}, r"heatmap: .*got \(1, 2, 6, 8\)"),
        (
            {"heatmap": HEATMAP, "offset": np.zeros((2, 3, 6, 8), np.float32)},
            r"offset: .*\(B, 2, H, W\), got \(2, 3, 6, 8\)",
        ),
        (
            {"heatmap": HEATMAP, "offset": np.zeros((2, 2, 6, 7), np.float32)},
            r"offset: expected maps of 6 x 8 cells, got 6 x 7",
        ),
        ({"offset": np.zeros((2, 2, 6, 8), np.float32)}, "heatmap, density: expected at least"),
        (
            {"density": DENSITY, "offset": np.zeros((2, 2, 3, 4), np.float32)},
            "offset: expected a heatmap beside it",
        ),
        ({"heatmap": HEATMAP, "density": DENSITY[:1]}, "density: expected 2 planes, got 1"),
        (
            {"heatmap": HEATMAP, "density": np.zeros((2, 5, 7), np.float32)},
            "density: expected the heatmap's 6 x 8 cells divided by one whole number, got 5 x 7",
        ),
        (
            {"heatmap": HEATMAP, "density": np.zeros((2, 12, 16), np.float32)},
            "density: expected the heatmap's 6 x 8 cells divided",
        ),
        (
            {"heatmap": HEATMAP, "masks": np.zeros((1, 3, 4), np.float32)},
            "masks: expected maps of 6 x 8 cells, got 3 x 4",
        ),
        (
            {"heatmap": HEATMAP, "density": DENSITY, "masks": np.zeros((1, 6, 8), np.float32)},
            "masks: expected maps of 3 x 4 cells, got 6 x 8",
        ),
        (
            {"density": DENSITY, "masks": np.full((1, 3, 4), 1.5, np.float32)},
            r"masks: expected coverage in \[0, 1\], got 1.5 in mask 0",
        ),
        (
            {"density": DENSITY, "masks": np.full((1, 3, 4), np.nan, np.float32)},
            r"masks: expected coverage in \[0, 1\], got -?nan",
        ),
        ({}, "heatmap, density: expected at least one of the two, got neither"),
    ],
)
def test_wrong_shapes(maps, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        _ext.count_maps(**maps)


def test_masks_and_offsets_have_their_own_dtypes():
    with pytest.raises(TypeError, match=r"^masks: expected dtype float32, got float16"):
        _ext.count_maps(HEATMAP, masks=np.zeros((1, 6, 8), np.float16))
    with pytest.raises(TypeError, match=r"^offset: expected the dtype of the heatmap"):
        _ext.count_maps(HEATMAP, np.zeros((2, 2, 6, 8), np.float16))


@pytest.mark.parametrize(
    "view", [HEATMAP[:, ::2], HEATMAP[:, :, 1:], HEATMAP[:, ::-1], HEATMAP.transpose(0, 2, 1)]
)
def test_gaps_and_other_orders(view):
    with pytest.raises(ValueError, match=r"^heatmap: .*C-contiguous.*ascontiguousarray"):
        _ext.count_maps(view)
    _ext.count_maps(np.ascontiguousarray(view))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 4}, "window: expected 3, 5 or 7, got 4"),
        ({"window": 1}, "window: expected 3, 5 or 7, got 1"),
        ({"window": -3}, "window: expected 0 or more, got -3"),
        ({"threshold": np.nan}, "threshold: expected a finite number of at least 0"),
        ({"threshold": np.inf}, "threshold: expected a finite number of at least 0"),
        ({"threshold": 1e300}, "threshold: expected a finite number of at least 0"),
        ({"threshold": -0.1}, "threshold: expected a finite number of at least 0, got -0.1"),
        ({"capacity": -1}, "capacity: expected 0 or more, got -1"),
        ({"unit": 0.0}, "unit: expected a finite number above 0, from 1.2e-38 to 3.4e38, got 0"),
        ({"unit": 1e-320}, "unit: expected a finite number above 0"),
        ({"unit": np.nan}, "unit: expected a finite number above 0"),
        ({"fuse_cell": -1}, "fuse_cell: expected 0 or more, got -1"),
        ({"fuse_low": np.nan}, "fuse_low, fuse_high: expected finite numbers"),
        ({"fuse_high": np.inf}, "fuse_low, fuse_high: expected finite numbers"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        _ext.count_maps(HEATMAP, **options)


def test_read_only_and_empty_arrays_are_fine():
    heatmap = HEATMAP.copy()
    heatmap.flags.writeable = False
    assert _ext.count_maps(heatmap).peak_count.tolist() == [0, 0]
    for shape in [(0, 4, 4), (1, 0, 4), (1, 4, 0), (0, 0, 0)]:
        empty = np.zeros(shape, np.float32)
        counts = _ext.count_maps(
            empty, density=empty, masks=np.zeros((2, *shape[1:]), np.float32), fuse_cell=4
        )
        assert counts.count.tolist() == [0.0] * shape[0]
        assert counts.region_count.shape == (shape[0], 2)
        assert [peaks.shape for peaks in counts.peaks] == [(0, 3)] * shape[0]


def test_results_outlive_the_call(rng):
    peaks = _ext.count_maps(rng.random((1, 50, 50), dtype=np.float32)).peaks[0]
    copy = peaks.copy()
    for _ in range(20):
        _ext.count_maps(rng.random((1, 50, 50), dtype=np.float32))
    np.testing.assert_array_equal(peaks, copy)


def test_a_threshold_of_minus_zero_is_zero():
    # Its sign bit once made cells outside of the map candidates.
    heatmap = np.random.default_rng(0).random((1, 9, 37), dtype=np.float32)
    for dtype in (np.float32, np.float16):
        expected = _ext.count_maps(heatmap.astype(dtype), threshold=0.0)
        for threshold in (-0.0, -1e-60):
            got = _ext.count_maps(heatmap.astype(dtype), threshold=threshold)
            np.testing.assert_array_equal(got.peaks[0], expected.peaks[0])


def _unaligned(dtype):
    size = HEATMAP.size * np.dtype(dtype).itemsize
    return np.zeros(size + 1, np.uint8)[1:].view(dtype).reshape(HEATMAP.shape)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (_unaligned(np.float32), ValueError, "an aligned array, got float32"),
        (_unaligned(np.float16), ValueError, "an aligned array, got float16"),
        (HEATMAP.astype(">f4"), TypeError, "got ndarray of >f4; another byte order"),
        (np.zeros(HEATMAP.shape, "u1,f4")["f1"], TypeError, "a field of records"),
        (HEATMAP[:, ::-1], ValueError, "a C-contiguous array"),
        (np.broadcast_to(HEATMAP[:, :1], HEATMAP.shape), ValueError, "a C-contiguous array"),
        (np.empty((0, 2**40, 1), np.float32), ValueError, r"sides below 2\^31"),
    ],
)
@pytest.mark.parametrize("name", ["heatmap", "density"])
def test_arrays_that_the_kernels_cannot_read(name, value, error, message):
    with pytest.raises(error, match=f"^{name}: expected .*{message}"):
        _ext.count_maps(**{name: value})


def test_maps_without_cells_are_counted_at_once():
    assert _ext.count_maps(np.empty((0, 2**31 - 1, 3), np.float32)).peak_count.size == 0
    tall = np.empty((1, 2**31 - 1, 0), np.float32)
    assert _ext.count_maps(tall, density=tall, fuse_cell=1).count[0] == 0


def test_preprocessing_into_its_own_image_is_refused():
    memory = np.zeros(3 * 8 * 8 * 4, np.uint8)
    out = memory.view(np.float32).reshape(3, 8, 8)
    options = (8, 8, 8, 8, (0, 0, 0), (1, 1, 1), False, 0.0)
    for start in (0, memory.size - 192):
        image = memory[start : start + 192].reshape(8, 8, 3)
        with pytest.raises(ValueError, match=r"^out: expected memory apart from that of image"):
            _ext.preprocess(image, out, *options)
    _ext.preprocess(memory[:192].reshape(8, 8, 3).copy(), out, *options)


@pytest.mark.parametrize(
    ("mean", "scale", "pad_value", "message"),
    [
        ((0, np.nan, 0), (1, 1, 1), 0.0, "mean: expected finite"),
        ((0, 0, 0), (1, 1, 1e39), 0.0, "scale: expected finite"),
        ((0, 0, 0), (1, 1, 1), np.inf, "pad_value: expected finite"),
        ((0, 1e30, 0), (1, 1e20, 1), 0.0, "mean, scale: expected values that keep"),
    ],
)
def test_normalisations_that_give_no_numbers(mean, scale, pad_value, message):
    image, out = np.zeros((4, 4, 3), np.uint8), np.zeros((3, 4, 4), np.float32)
    with pytest.raises(ValueError, match=f"^{message}"):
        _ext.preprocess(image, out, 4, 4, 4, 4, mean, scale, False, pad_value)
