"""Maps counted by a GPU against the CPU's `count_maps`: the same bits, or the same error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gpu_maps import (
    EMULATED,
    ROLES,
    Case,
    assert_same,
    assert_same_density,
    count,
    graph_case,
    how_many,
    make_counter,
    random_case,
    random_map,
    upload,
    upload_apart,
)
from numpy.typing import NDArray

from edgecount import _ext

pytestmark = pytest.mark.gpu

GROUPS = 8
SIDE = 60 if EMULATED else 90
LARGEST = (4320, 7680)


def check(case: Case, rng: np.random.Generator | None = None, what: str = "") -> None:
    found, kept = count(case, rng)
    assert_same(found, case.on_cpu(), what)
    assert_same_density(kept, case, what)


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_maps(group: int) -> None:
    for seed in range(group, how_many(400, 4000), GROUPS):
        rng = np.random.default_rng(seed)
        check(random_case(rng, SIDE), rng, f"(seed {seed})")


@pytest.mark.parametrize("window", [3, 5, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_every_width_around_the_vectors(window: int, dtype: type) -> None:
    widths = [1, 2, 3, 31, 32, 33] if EMULATED else [*range(1, 70), *range(120, 137), 255, 256, 257]
    for width in widths:
        rng = np.random.default_rng(width)
        heatmap = rng.choice(np.linspace(0, 1, 40), (2, 9, width)).astype(dtype)
        options = {"window": window, "threshold": 0.3}
        check(Case({"heatmap": heatmap}, options), what=f"(width {width})")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("offset", range(1, 8))
def test_addresses_that_fit_no_more_than_a_cell(dtype: type, offset: int) -> None:
    values = np.random.default_rng(0).random((1, 13, 37)).astype(dtype)
    stream = _ext.Stream()
    buffer = _ext.DeviceBuffer(values.nbytes + 64)
    target = buffer.array(values.shape, str(values.dtype), offset * values.itemsize)
    stream.upload(target, values)
    for role in ("heatmap", "density"):
        case = Case({role: values}, {"threshold": 0.3})
        counter = make_counter(case)
        given = {"heatmap": None, "offset": None, "density": None, role: target}
        counter.enqueue(*given.values(), stream)
        stream.synchronize()
        assert_same(counter.read(stream), case.on_cpu(), role)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (7, 1), (1, 7)])
@pytest.mark.parametrize("window", [3, 7])
def test_thin_maps(shape: tuple[int, int], window: int) -> None:
    rng = np.random.default_rng(1)
    maps = {name: rng.random((2, *shape)).astype(np.float32) for name in ("heatmap", "density")}
    maps["masks"] = rng.random((3, *shape)).astype(np.float32)
    check(Case(maps, {"window": window, "threshold": 0.2, "fuse_cell": 4, "fuse_high": 3.0}), rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_plateaus_across_blocks(dtype: type) -> None:
    size = (40, 70) if EMULATED else (270, 480)
    rng = np.random.default_rng(0)
    for shares in ([1.0], [0.5, 0.5], [0.05, 0.05, 0.9]):
        levels = np.linspace(0.5, 1, len(shares))
        heatmap = rng.choice(levels, (1, *size), p=shares).astype(dtype)
        for window in (3, 7):
            check(Case({"heatmap": heatmap}, {"window": window}))


@pytest.mark.parametrize("width", [127, 128, 129, 130, 256, 388])
@pytest.mark.parametrize("window", [3, 5, 7])
def test_where_the_parts_of_a_map_meet(width: int, window: int) -> None:
    # Of few levels, so that what is just beyond a part decides.
    for height in (5, 37, 70) if EMULATED else (5, 37, 70, 128, 500):
        rng = np.random.default_rng(width + height)
        shape = (2, height, width)
        maps: dict[str, NDArray[Any]] = {
            "heatmap": rng.choice([0.3, 0.5, 0.5, 0.9], shape).astype(np.float32),
            "density": rng.random(shape, np.float32) - 0.3,
            "masks": rng.random((2, height, width), np.float32),
        }
        options = {"window": window, "fuse_cell": 16, "fuse_low": 20.0, "fuse_high": 90.0}
        for given in (None, rng):
            check(Case(maps, options), given, f"(height {height})")


@pytest.mark.parametrize("shape", [(2, 64, 256), (1, 300, 128), (3, 7, 1200)])
def test_as_many_peaks_as_there_can_be(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(13)
    heatmap = np.zeros(shape, np.float32)
    heatmap[:, ::2, ::2] = rng.uniform(0.5, 1, heatmap[:, ::2, ::2].shape)
    masks = rng.random((3, *shape[1:]), np.float32)
    check(Case({"heatmap": heatmap, "masks": masks}))
    # Empty ones between them, and only the last rows full.
    heatmap[0, : shape[1] * 3 // 4] = 0
    check(Case({"heatmap": heatmap, "masks": masks}, {"capacity": 700}, {"listed": 300}))


def test_every_half() -> None:
    halves = np.arange(1, 0x7C00, 61 if EMULATED else 1, dtype=np.uint16).view(np.float16)
    # one value a map, so that each is its own peak
    heatmap = halves.reshape(-1, 1, 1)
    check(Case({"heatmap": heatmap, "density": -heatmap}, {"threshold": 0.0}))


def test_subnormals_and_the_largest_values() -> None:
    tiny = np.array([[[0, 1, 2, 1, 0, 3, 3]]], np.uint32).view(np.float32)
    check(Case({"heatmap": tiny, "density": tiny}, {"threshold": 0.0}))
    huge = np.full((1, 5, 6), -3e38, np.float32)
    huge[0, 2, 3] = 3e38
    masks = np.full((1, 5, 6), 0.5, np.float32)
    check(Case({"heatmap": huge, "density": np.abs(huge), "masks": masks}))


@pytest.mark.parametrize("threshold", [0.4, float(np.nextafter(np.float32(0.4), np.float32(0)))])
def test_the_threshold_is_strict(threshold: float) -> None:
    heatmap = np.full((1, 3, 3), 0.4, np.float32)
    check(Case({"heatmap": heatmap}, {"threshold": threshold}))


@pytest.mark.parametrize("capacity", [0, 1, 63, 64, 65, 10**9])
@pytest.mark.parametrize("listed", [1, 64, 100000])
def test_capacities_and_lists(capacity: int, listed: int) -> None:
    heatmap = np.zeros((2, 16, 32), np.float32)
    heatmap[0, ::2, ::4] = 1  # 64 peaks
    heatmap[1, ::8, ::8] = 1
    check(Case({"heatmap": heatmap}, {"capacity": capacity}, {"listed": listed}))


@pytest.mark.parametrize(
    ("fine", "coarse"),
    [
        ((5, 9), (3, 5)),
        ((5, 9), (2, 4)),
        ((9, 17), (3, 5)),
        ((9, 12), (3, 4)),
        ((1, 9), (1, 5)),
        ((67, 43), (9, 6)),
    ],
)
@pytest.mark.parametrize("fuse_cell", [0, 1, 3, 2**62])
def test_grids_that_are_rounded(
    fine: tuple[int, int], coarse: tuple[int, int], fuse_cell: int
) -> None:
    rng = np.random.default_rng(5)
    maps = {
        "heatmap": rng.random((2, *fine)).astype(np.float32),
        "density": (rng.random((2, *coarse)) ** 4).astype(np.float16),
        "masks": rng.random((2, *coarse)).astype(np.float32),
    }
    check(Case(maps, {"fuse_cell": fuse_cell, "fuse_low": 0.5, "fuse_high": 2.0}), rng)


def test_a_step_between_peaks_and_density() -> None:
    # At a step the last bit of a sum decides a whole cell.
    rng = np.random.default_rng(8)
    maps = {
        "heatmap": rng.random((2, 30, 30)).astype(np.float32),
        "density": rng.choice([0.1, 0.3, 0.7], (2, 30, 30)).astype(np.float32),
    }
    for low in (1.0, 1.7, 3.9):
        check(Case(maps, {"fuse_cell": 3, "fuse_low": low, "fuse_high": low}), rng)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("role", ["heatmap", "density", "offset"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_values_that_are_not_finite(role: str, bad: float, dtype: type) -> None:
    rng = np.random.default_rng(2)
    maps = {name: rng.random((3, 9, 21)).astype(dtype) for name in ("heatmap", "density")}
    maps["offset"] = rng.random((3, 2, 9, 21)).astype(dtype)
    maps["heatmap"][1, 4, 20] = 2  # a peak, at which offsets are looked at
    for place in ((0, 0, 0), (1, 4, 20), (2, 8, 20)):
        spoilt = {name: values.copy() for name, values in maps.items()}
        image, y, x = place
        spoilt[role][(image, 1, y, x) if role == "offset" else place] = bad
        check_error(Case(spoilt), f"{role} at {place}")


def test_which_of_several_bad_maps_is_named() -> None:
    for seed in range(how_many(8, 200)):
        rng = np.random.default_rng(seed)
        case = random_case(rng, 12)
        for role in ROLES:
            if role in case.maps and rng.random() < 0.6:
                flat = case.maps[role].reshape(-1)
                flat[rng.integers(0, flat.size)] = rng.choice([np.nan, np.inf])
        check_error(case, f"seed {seed}")


@pytest.mark.parametrize("bad", [ROLES, ROLES[1:], ("heatmap", "density")])
def test_which_is_named_of_maps_with_many_peaks(bad: tuple[str, ...]) -> None:
    # More than a CPU places in one go, with the heatmap's bad cell below all of them.
    shape = (3, 40, 60)
    rng = np.random.default_rng(14)
    maps: dict[str, NDArray[Any]] = {
        "heatmap": np.zeros(shape, np.float32),
        "offset": rng.random((3, 2, 40, 60), np.float32),
        "density": rng.random(shape, np.float32),
    }
    maps["heatmap"][:, ::2, ::2] = 1
    for role in bad:
        maps[role][1:].reshape(2, -1)[:, 0 if role == "offset" else -1] = np.nan
    case = Case(maps)
    assert str(outcome(case.on_cpu)).startswith(f"{bad[0]}: ")
    check_error(case, str(bad))


def check_error(case: Case, what: str) -> None:
    """Assert that the GPU says what the CPU says, or counts what it counts."""
    expected, found = outcome(case.on_cpu), outcome(lambda: count(case)[0])
    if isinstance(expected, str):
        assert found == expected, what
    else:
        assert not isinstance(found, str), f"{found} {what}"
        assert_same(found, expected, what)


def outcome(work: Callable[[], _ext.MapCounts]) -> _ext.MapCounts | str:
    """Return what was counted, or the error's message."""
    try:
        return work()
    except ValueError as error:
        return str(error)


def test_an_error_is_of_its_maps_alone() -> None:
    rng = np.random.default_rng(3)
    case = Case({"heatmap": rng.random((2, 11, 23)).astype(np.float32)}, {"threshold": 0.5})
    counter = make_counter(case)
    assert_same(count(case, counter=counter)[0], case.on_cpu())
    right = case.maps["heatmap"]
    case.maps["heatmap"] = np.full_like(right, np.nan)
    with pytest.raises(ValueError, match=r"^heatmap: expected finite values.* image 0 of"):
        count(case, counter=counter)
    case.maps["heatmap"] = right[::-1].copy()
    assert_same(count(case, counter=counter)[0], case.on_cpu())


def test_one_counter_for_many_maps() -> None:
    shape = (2, 33, 47)
    rng = np.random.default_rng(4)
    masks = rng.random((3, *shape[1:])).astype(np.float32)
    options = {"threshold": 0.2, "fuse_cell": 8, "fuse_low": 0.5, "fuse_high": 2.0, "capacity": 90}
    counter = None
    for _ in range(how_many(6, 300)):
        maps = {name: random_map(rng, shape).astype(np.float32) for name in ("heatmap", "density")}
        case = Case({**maps, "masks": masks}, options, {"keep_density": True, "listed": 8})
        counter = counter or make_counter(case)
        found, kept = count(case, rng, counter)
        assert_same(found, case.on_cpu())
        assert_same_density(kept, case)


def test_results_outlive_the_counter_and_the_next_maps() -> None:
    rng = np.random.default_rng(6)
    cases = [Case({"heatmap": rng.random((1, 12, 12)).astype(np.float32)}) for _ in range(2)]
    counter = make_counter(cases[0])
    first, _ = count(cases[0], counter=counter)
    count(cases[1], counter=counter)
    del counter
    assert_same(first, cases[0].on_cpu())


def test_a_graph_counts_what_its_maps_hold_when_it_runs() -> None:
    rng = np.random.default_rng(7)
    case = graph_case(rng)
    stream, counter = _ext.Stream(), make_counter(case)
    maps = {role: upload_apart(case.maps[role], rng, stream) for role in ("heatmap", "density")}
    stream.begin_capture()
    counter.enqueue(maps["heatmap"], None, maps["density"], stream)
    graph = stream.end_capture()
    for _ in range(how_many(4, 50)):
        case.maps.update(graph_case(rng).maps)
        for role, target in maps.items():
            for image in range(target.shape[0]):
                for row in range(target.shape[1]):
                    stream.upload(target[image, row], case.maps[role][image, row])
        graph.launch(stream)
        stream.synchronize()
        assert_same(counter.read(stream), case.on_cpu())
        assert_same_density(counter.density, case)


@pytest.mark.skipif(EMULATED, reason="too slow without a GPU")
@pytest.mark.parametrize("ratio", [1, 8])
def test_the_largest_maps(ratio: int) -> None:
    rng = np.random.default_rng(9)
    coarse = tuple(side // ratio for side in LARGEST)
    maps: dict[str, NDArray[Any]] = {
        "heatmap": rng.random((1, *LARGEST), np.float32),
        "density": rng.random((1, *coarse), np.float32),
        "masks": rng.random((2, *coarse), np.float32),
    }
    maps["heatmap"] **= 3
    options = {"fuse_cell": 8, "fuse_low": 20.0, "fuse_high": 40.0, "threshold": 0.5}
    check(Case(maps, options, {"keep_density": True}))


def test_an_upload_and_its_counting_in_one_stream() -> None:
    # Pinned maps are overwritten once the stream is done, and not before.
    rng = np.random.default_rng(12)
    case = Case({"heatmap": rng.random((1, 21, 31)).astype(np.float32)}, {"threshold": 0.3})
    stream, counter = _ext.Stream(), make_counter(case)
    pinned = _ext.PinnedBuffer(case.maps["heatmap"].nbytes).array((1, 21, 31), "float32")
    target = upload(case.maps["heatmap"], stream)
    for _ in range(how_many(3, 200)):
        case.maps["heatmap"] = pinned[...] = rng.random((1, 21, 31), np.float32)
        stream.upload(target, pinned)
        counter.enqueue(target, None, None, stream)
        stream.synchronize()
        assert_same(counter.read(stream), case.on_cpu())
