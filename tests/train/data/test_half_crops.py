"""Crops of half the image's sides, discrete scales, and crops of annotated regions."""

import dataclasses
import math
from collections import Counter

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("yaml")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.config import DataConfig, config_from_dict  # noqa: E402
from edgecount.train.data.assemble import fitted  # noqa: E402
from edgecount.train.data.augment import cut_region, random_crop  # noqa: E402
from edgecount.train.data.device.mixture import DeviceMixture  # noqa: E402
from edgecount.train.data.mixture import Mixture, MixtureComponent  # noqa: E402
from edgecount.train.data.sample import Sample  # noqa: E402
from edgecount.train.data.windows import CropRule, CropWindow, draw_window  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402

QUARTERS = CropRule("half", scales=(0.8, 1.0, 1.2), window="quarters", mirror=False)
CPU = torch.device("cpu")


def windows(rule, number, height=77, width=101):
    rng = np.random.default_rng(5)
    return [draw_window(height, width, rule, rng) for _ in range(number)]


def test_four_in_fourteen_are_quarters_and_the_quarters_are_the_whole_image():
    drawn = windows(QUARTERS, 4200)
    corners = {(left, top) for left in (0, 50) for top in (0, 38)}
    ends = {(0, 0): (50, 38), (50, 0): (101, 38), (0, 38): (50, 77), (50, 38): (101, 77)}
    found = Counter((w.left, w.top, w.right, w.bottom) for w in drawn)
    quarters = [found[(*corner, *ends[corner])] for corner in sorted(corners)]
    share = sum(quarters) / len(drawn)
    assert share == pytest.approx(4 / 14, abs=4 * math.sqrt(4 / 14 * 10 / 14 / len(drawn)))
    assert min(quarters) > 0.8 * max(quarters)
    covered = np.zeros((77, 101), int)
    for (left, top), (right, bottom) in ends.items():
        covered[top:bottom, left:right] += 1
    assert (covered == 1).all()


def test_a_crop_is_a_quarter_of_the_scaled_image_without_padding():
    drawn = windows(QUARTERS, 900)
    scales = Counter(round(w.height / (w.bottom - w.top), 1) for w in drawn)
    assert sorted(scales) == [0.8, 1.0, 1.2]
    assert min(scales.values()) > 0.8 * max(scales.values())
    for w in drawn:
        assert w.size == (w.height, w.width)
        assert (w.right - w.left, w.bottom - w.top) in {(50, 38), (51, 39), (50, 39), (51, 38)}
        scale = round(w.height / (w.bottom - w.top), 1)
        assert w.width == round((w.right - w.left) * scale)
        assert w.is_native == (scale == 1.0)
        assert not w.mirrored


def test_free_half_crops_reach_the_border_as_often_as_the_middle():
    drawn = windows(CropRule("half"), 3000, 80, 120)
    seen = np.zeros(120)
    for w in drawn:
        assert (w.right - w.left, w.bottom - w.top) == (60, 40)
        seen[w.left : w.right] += 1
    # of crops whose middle is anywhere, half of those at a side are pushed back to it
    assert seen[0] > 0.2 * seen[60]
    assert 0.4 < np.mean([w.mirrored for w in drawn]) < 0.6


def test_native_half_crops_are_the_images_own_pixels_with_their_points():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (61, 90, 3), dtype=np.uint8)
    points = rng.uniform(0, 60, (40, 2)).astype(np.float32)
    sizes, boxes = np.full(40, 5, np.float32), np.zeros((40, 4), np.float32)
    rule = dataclasses.replace(QUARTERS, scales=(1.0,))
    places = np.random.default_rng(7)
    for _ in range(20):
        again = np.random.default_rng(places.integers(1000))
        state = again.bit_generator.state
        crop = random_crop(image, points, sizes, boxes, rule, again)
        again.bit_generator.state = state
        w = draw_window(61, 90, rule, again)
        assert np.array_equal(crop.image, image[w.top : w.bottom, w.left : w.right])
        inside = [
            (x - w.left, y - w.top)
            for x, y in points
            if w.left <= x < w.right and w.top <= y < w.bottom
        ]
        np.testing.assert_allclose(crop.points, np.array(inside).reshape(-1, 2), atol=1e-5)


def test_discrete_scales_hold_in_crops_of_a_given_size_too():
    drawn = windows(CropRule((32, 48), scales=(0.5, 1.0)), 200, 200, 300)
    assert {w.bottom - w.top for w in drawn} == {64, 32}
    assert all(w.is_native == (w.bottom - w.top == 32) for w in drawn)


def test_the_region_of_a_crop_is_that_of_its_pixels():
    region = np.zeros((40, 60), bool)
    region[10:30, 5:33] = True
    window = CropWindow(3, 8, 43, 38, 30, 40, (32, 48), cv2.INTER_LINEAR, mirrored=True)
    cut = cut_region(window, region)
    assert cut.shape == (32, 48)
    assert np.array_equal(cut[:30, :40], region[8:38, 3:43][:, ::-1])
    assert not cut[30:].any()
    assert not cut[:, 40:].any()
    half = CropWindow(3, 8, 43, 38, 15, 20, (15, 20), cv2.INTER_AREA, mirrored=False)
    # of two pixels in a row the second is at the centre of a pixel of half the size
    assert np.array_equal(cut_region(half, region), region[8:38, 3:43][1::2, 1::2])


@pytest.fixture
def samples(tmp_path):
    made = []
    for number, (height, width) in enumerate([(60, 80), (77, 101), (60, 80), (64, 96)]):
        rng = np.random.default_rng(number)
        image = cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (width, height))
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), image)
        region = np.array([[5, 5], [50, 8], [40, 55], [8, 45]], np.float32) if number % 2 else None
        points = rng.uniform(10, 38, (9, 2)).astype(np.float32)
        made.append(Sample(path, points, np.full(9, 7.0, np.float32), region=region))
    return made


@pytest.fixture
def make(samples):
    def mixtures(**change):
        config = config_from_dict(
            {
                "model": {"name": "hsrnet", "width": 0.1},
                "data": [{"reader": "ucsd"}],
                "crop": "half",
                "batch_size": 6,
                "photometric": {"probability": 0.0},
                **change,
            }
        )
        component = MixtureComponent(
            samples, 1.0, (1.0, 1.0), "quarters", scales=(0.8, 1.0, 1.2), mirror=False
        )
        network = build_model(config.model.name, config.model.options)
        objective = build_objective("density", {}, network)
        spec = network.input
        return (
            Mixture([component], config, objective.targets, spec),
            DeviceMixture([component], config, objective.batch_targets, spec, device=CPU),
        )

    return mixtures


def test_a_batch_has_its_crops_by_size_and_both_loaders_give_the_same(make):
    threads, device = make()
    for step in range(3):
        one, other = threads.batch(step), device.batch(step)
        assert sum(len(part.images) for part in one.sizes) == 6
        shapes = [tuple(part.images.shape[-2:]) for part in one.sizes]
        assert len(set(shapes)) == len(shapes) > 1
        assert [part.names for part in other.sizes] == [part.names for part in one.sizes]
        for mine, theirs in zip(one.sizes, other.sizes, strict=True):
            levels = (mine.images - theirs.images).abs() / max(threads._spec.scale)
            assert float(levels.max()) < 3
            assert float(levels.mean()) < 0.6
            assert set(mine.targets) == set(theirs.targets) == {"density", "region"}
            for name, values in mine.targets.items():
                torch.testing.assert_close(theirs.targets[name], values, rtol=0, atol=1e-6)
                assert values.shape[-2:] == mine.images.shape[-2:]


def test_density_is_nobody_outside_the_region_and_all_of_its_heads_inside(make):
    batch = make(batch_size=24)[0].batch(0)
    bounded = 0
    for part in batch.sizes:
        density, region = part.targets["density"], part.targets["region"]
        assert float((density * (1 - region)).abs().max()) == 0.0
        totals = density.sum((1, 2, 3))
        torch.testing.assert_close(totals, totals.round(), rtol=0, atol=1e-4)
        bounded += int((region.amin((1, 2, 3)) == 0).sum())
    assert 0 < bounded < 24


def test_images_are_enlarged_as_far_as_the_longest_side_allows(samples):
    small = samples[0]
    twice = fitted(small, enlarge=2.0)
    assert twice.image().shape == (120, 160, 3)
    np.testing.assert_allclose(twice.points, 2 * small.points)
    assert fitted(small, max_side=100, enlarge=2.0).image().shape == (75, 100, 3)
    assert fitted(small, max_side=40).image().shape == (30, 40, 3)
    assert fitted(small).image().shape == (60, 80, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"scales": [0.8, 0.0]}, r"data\.scales: expected numbers above 0"),
        ({"enlarge": 0.5}, r"data\.enlarge: expected 1 or more, got 0\.5"),
        ({"enlarge": 2.0, "shrink": 0.5}, r"data\.enlarge: expected 1 where shrink is below 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(data, message):
    with pytest.raises(ConfigError, match=message):
        DataConfig("ucsd", **data)


def test_half_crops_of_nothing_are_refused():
    values = {"model": "hsrnet", "data": [{"reader": "blank"}], "crop": "half"}
    with pytest.raises(ConfigError, match=r"crop: half is half of an image's sides"):
        config_from_dict(values)
    values["crop"] = "third"
    with pytest.raises(ConfigError, match="crop: expected a list of 2 whole numbers or half"):
        config_from_dict(values)
