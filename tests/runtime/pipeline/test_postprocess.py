"""From maps to counts: crops, units, points in source pixels, and maps that are wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount.errors import BackendError
from edgecount.manifest import IntervalSpec, Manifest, PostprocessSpec
from edgecount.regions import Region
from edgecount.runtime.pipeline.postprocess import Counts, RegionMasks, check_outputs, count_outputs
from edgecount.runtime.pipeline.preprocess import input_geometry

Maps = dict[str, NDArray[Any]]


def blank(manifest: Manifest, height: int, width: int) -> Maps:
    channels = {"density": 1, "heatmap": 1, "offset": 2}
    return {
        o.name: np.zeros((1, channels[o.role], height // o.stride, width // o.stride), np.float32)
        for o in manifest.outputs
    }


def count(
    maps: Maps, manifest: Manifest, size: tuple[int, int], *regions: Region, capacity: int = 0
) -> Counts:
    plan = input_geometry(size, manifest.input, manifest.input.max_side)
    check_outputs(maps, manifest, *plan.padded)
    return count_outputs(
        maps, manifest, plan, RegionMasks(regions), threshold=0.4, capacity=capacity
    )


@pytest.fixture
def manifest(make_manifest: Callable[..., Manifest]) -> Manifest:
    return make_manifest()


def test_padding_is_not_counted(manifest: Manifest) -> None:
    maps = blank(manifest, 64, 64)
    for values in maps.values():
        values[...] = 1
    found = count(maps, manifest, (20, 12))
    assert found.density.shape == (2, 3)
    assert found.density_count == 6


def test_interval_widens_where_the_streams_disagree(manifest: Manifest) -> None:
    maps = blank(manifest, 64, 64)
    maps["density"][0, 0, 2, 2] = 6.0
    assert count(maps, manifest, (64, 64)).interval is None
    spec = IntervalSpec(0.9, below=1.0, above=2.0, floor=1.0, root=0.0, share=0.0, gap=0.5)
    post = PostprocessSpec(interval=spec)
    measured = dataclasses.replace(manifest, postprocess=post)
    found = count(maps, measured, (64, 64))
    spread = (1 + 0.25 * 36) ** 0.5
    assert found.interval == pytest.approx((6 - spread, 6 + 2 * spread))


def test_points_are_in_source_pixels_and_inside_the_frame(manifest: Manifest) -> None:
    maps = blank(manifest, 288, 512)
    for row, column, dy, dx in ((0, 0, 0.0, 0.25), (35, 64, 0.5, 0.5), (71, 127, 1.5, 1.5)):
        maps["heat"][0, 0, row, column] = 0.75
        maps["shift"][0, :, row, column] = dx, dy
    found = count(maps, manifest, (1024, 576))
    expected = [[2, 0, 0.75], [516, 284, 0.75], [1024, 576, 0.75]]
    np.testing.assert_allclose(found.points, expected, atol=1e-3)
    assert found.density_stride_xy == (16, 16)


def test_unit_and_copy(make_manifest: Callable[..., Manifest]) -> None:
    manifest = make_manifest(roles=("density",), unit=100.0)
    maps = blank(manifest, 64, 64)
    maps["density"][0, 0, 3, 4] = 250
    found = count(maps, manifest, (64, 64))
    assert found.count == found.density_count == pytest.approx(2.5)
    assert found.density[3, 4] == 2.5
    assert found.density.dtype == np.float32
    assert found.peak_count is None
    assert found.points.shape == (0, 3)
    maps["density"][...] = 7
    assert found.density.sum() == 2.5


def test_density_is_a_copy_whatever_the_unit(manifest: Manifest) -> None:
    maps = blank(manifest, 64, 64)
    found = count(maps, manifest, (64, 64))
    assert not np.shares_memory(found.density, maps["density"])


def test_only_a_heatmap(make_manifest: Callable[..., Manifest]) -> None:
    manifest = make_manifest(roles=("heatmap",))
    maps = blank(manifest, 64, 64)
    maps["heat"][0, 0, 2::4, 2::4] = 0.9
    left = Region("left", [(0, 0), (32, 0), (32, 64), (0, 64)])
    found = count(maps, manifest, (64, 64), left)
    assert found.count == found.peak_count == 16
    assert found.density_count is None
    assert found.density.shape == (0, 0)
    assert found.density_stride_xy == (0, 0)
    region = found.regions["left"]
    assert (region.count, region.density_count, region.peak_count) == (8, None, 8)


def test_capacity_cuts_the_list_but_not_the_count(manifest: Manifest) -> None:
    maps = blank(manifest, 64, 64)
    maps["heat"][0, 0, 2::4, 2::4] = 0.9
    found = count(maps, manifest, (64, 64), capacity=5)
    assert (len(found.points), found.peak_count, found.overflow) == (5, 16, True)


def test_half_precision_maps(manifest: Manifest) -> None:
    maps = blank(manifest, 64, 64)
    maps["density"][0, 0, 0, 0] = 1.5
    found = count({k: v.astype(np.float16) for k, v in maps.items()}, manifest, (64, 64))
    assert found.density_count == 1.5
    assert found.density.dtype == np.float32


@pytest.mark.parametrize("halves", [("heat",), ("shift",), ("heat", "density")])
def test_maps_of_two_precisions(manifest: Manifest, halves: tuple[str, ...]) -> None:
    """Engines choose a precision for each tensor."""
    maps = blank(manifest, 64, 64)
    maps["heat"][0, 0, 2, 2], maps["shift"][0, :, 2, 2] = 0.75, 0.25
    expected = count(maps, manifest, (64, 64))
    mixed = {k: v.astype(np.float16) if k in halves else v for k, v in maps.items()}
    found = count(mixed, manifest, (64, 64))
    assert found.peak_count == 1
    np.testing.assert_array_equal(found.points, expected.points)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (20, 3), (61, 45), (500, 301)])
def test_regions_of_a_partition_sum_to_the_whole(manifest: Manifest, size: tuple[int, int]) -> None:
    plan = input_geometry(size, manifest.input, 512)
    rng = np.random.default_rng(3)
    maps = {
        name: rng.uniform(0, 1, values.shape).astype(np.float32)
        for name, values in blank(manifest, *plan.padded).items()
    }
    found = count(
        maps,
        manifest,
        size,
        Region("a", [(0, 0), (0.37, 0), (0.5, 1), (0, 1)], fractions=True),
        Region("b", [(0.37, 0), (1, 0), (1, 1), (0.5, 1)], fractions=True),
    )
    for name in ("count", "density_count", "peak_count"):
        total = sum(getattr(region, name) for region in found.regions.values())
        assert total == pytest.approx(getattr(found, name), rel=1e-5)


@pytest.mark.parametrize("name", ["density", "heat", "shift"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_name_the_output(
    manifest: Manifest, name: str, value: float
) -> None:
    maps = blank(manifest, 64, 64)
    maps["heat"][0, 0, 5, 5] = 0.9
    maps[name][0, 0, 5, 5] = value
    with pytest.raises(BackendError, match=f"output '{name}' .* of tiny: .*NaN"):
        count(maps, manifest, (64, 64))


def test_maps_that_the_manifest_does_not_promise(manifest: Manifest) -> None:
    maps = blank(manifest, 64, 64)
    with pytest.raises(BackendError, match=r"'shift' is missing: the engine gave \['density'"):
        check_outputs({k: v for k, v in maps.items() if k != "shift"}, manifest, 64, 64)
    with pytest.raises(BackendError, match=r"'heat': expected shape \(1, 1, 16, 16\).*got \(1, 1"):
        check_outputs(maps | {"heat": maps["heat"][:, :, :8]}, manifest, 64, 64)
    with pytest.raises(BackendError, match="'density': expected float32 or float16, got float64"):
        check_outputs(maps | {"density": maps["density"].astype(float)}, manifest, 64, 64)
    with pytest.raises(BackendError, match="'density': expected an array, got a list"):
        check_outputs(maps | {"density": maps["density"].tolist()}, manifest, 64, 64)
    for given, kind in ((None, "None"), (list(maps.values()), "a list")):
        with pytest.raises(BackendError, match=f"the engine gave {kind}: expected a mapping"):
            check_outputs(given, manifest, 64, 64)  # type: ignore[arg-type]


def test_scores_that_are_no_probabilities_are_an_error(manifest: Manifest) -> None:
    maps = blank(manifest, 64, 64)
    maps["heat"][0, 0, 5, 5] = 1.0
    assert count(maps, manifest, (64, 64)).peak_count == 1
    maps["heat"][0, 0, 5, 5] = 2.0
    with pytest.raises(BackendError, match=r"'heat' \(heatmap\) of tiny: .* 0 to 1, got 2; is the"):
        count(maps, manifest, (64, 64))


def test_masks_are_rasterised_once_per_size() -> None:
    masks = RegionMasks([Region("a", [(0, 0), (9, 0), (9, 9)])])
    first = masks.on_grid((64, 64), (8, 8), (8.0, 8.0))
    assert masks.on_grid((64, 64), (8, 8), (8.0, 8.0)) is first
    assert masks.on_grid((64, 32), (4, 8), (8.0, 8.0)) is not first
    assert RegionMasks(()).on_grid((64, 64), (8, 8), (8.0, 8.0)) is None


def test_a_size_that_changes_under_regions_in_pixels_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    corners = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0)]
    shares = Region("shares", corners, fractions=True)
    for regions, told in (([shares], 0), ([shares, Region("gate", np.multiply(corners, 64))], 1)):
        caplog.clear()
        masks = RegionMasks(regions)
        for side in (64, 64, 32, 16):
            masks.on_grid((side, side), (4, 4), (side / 4, side / 4))
        assert len(caplog.records) == told
    assert "from 64 x 64 to 32 x 32 pixels: gate, given in pixels" in caplog.text


def test_a_density_of_less_than_nobody_is_an_error(manifest: Manifest) -> None:
    maps = blank(manifest, 64, 64)
    maps["density"][...] = -0.01  # rounding of a network without a last ReLU
    assert count(maps, manifest, (64, 64)).density_count == pytest.approx(-0.64)
    maps["density"][...] = -5
    with pytest.raises(BackendError, match=r"density.*expected 0 people or more in a frame, got -"):
        count(maps, manifest, (64, 64))


def test_counts_are_not_below_nobody_where_the_density_is(
    make_manifest: Callable[..., Manifest],
) -> None:
    spec = IntervalSpec(0.9, below=1.0, above=2.0, floor=1.0, root=0.0, share=0.0, gap=0.0)
    manifest = dataclasses.replace(
        make_manifest(roles=("density",)), postprocess=PostprocessSpec(interval=spec)
    )
    maps = blank(manifest, 64, 64)
    maps["density"][...] = -0.01
    left = Region("left", [(0, 0), (32, 0), (32, 64), (0, 64)])
    found = count(maps, manifest, (64, 64), left)
    region = found.regions["left"]
    assert (found.count, region.count) == (0.0, 0.0)
    assert np.signbit([found.count, region.count]).tolist() == [False, False]
    assert found.interval == (0.0, 2.0)
    # The map is what the network gave, and these are its sums.
    assert found.density.sum() == pytest.approx(-0.64)
    assert found.density_count == pytest.approx(-0.64)
    assert region.density_count == pytest.approx(-0.32)
    maps["density"][0, 0, 0, 0] = 3.0
    assert count(maps, manifest, (64, 64), left).count == pytest.approx(3 - 0.63)
