"""Zooming: which regions are proposed, and that heads which merge at first are told apart."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.raznet.zoom import (  # noqa: E402
    Prediction,
    attention,
    predictor,
    propose_regions,
    zoom_points,
)

STRIDE = 4


def brightest(image):
    """Return maps whose heatmap is the brightest pixel of each 4 x 4 px."""
    height, width = image.shape[:2]
    padded = np.pad(image[:, :, 0], ((0, -height % STRIDE), (0, -width % STRIDE)))
    rows, columns = (side // STRIDE for side in padded.shape)
    blocks = padded.reshape(rows, STRIDE, columns, STRIDE)
    return Prediction((blocks.max((1, 3)) / 255).astype(np.float32), STRIDE)


def dots(points, size=(96, 96)):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y in points:
        image[y, x] = 255
    return image


def crowd(spacing):
    """Place a square crowd of 4 x 4 heads."""
    return [(42 + spacing * i, 42 + spacing * j) for i in range(4) for j in range(4)]


def matched(found, heads, reach=3.0):
    """Every head has exactly one point, and no point is left over."""
    distances = np.abs(found[:, None, :2] - (np.array(heads)[None] + 0.5)).max(2)
    return bool((distances <= reach).sum(0).min() >= 1) and len(found) == len(heads)


def test_heads_that_merge_at_first_are_told_apart_at_twice_the_size():
    heads = crowd(5)
    first = zoom_points(brightest, dots(heads), threshold=0.3, zoom=0)
    assert len(first) < len(heads)
    assert matched(zoom_points(brightest, dots(heads), threshold=0.3, zoom=1), heads)


def test_zooming_recurs():
    heads = [(45, 45), (47, 45), (45, 47), (47, 47)]
    # two px: adjacent cells even at twice the size, told apart at four times
    once = zoom_points(brightest, dots(heads), threshold=0.2, zoom=1, score=0.001)
    twice = zoom_points(brightest, dots(heads), threshold=0.2, zoom=2, score=0.001)
    assert len(once) < len(twice)
    assert matched(twice, heads, reach=2.0)


def test_heads_outside_the_regions_stay_and_those_in_overlaps_count_once():
    heads = [(5, 90), (90, 5), *crowd(5)]
    found = zoom_points(brightest, dots(heads), threshold=0.3, zoom=1, score=0.02)
    assert matched(found, heads)
    # every region here overlaps others: all of them hold the one crowd
    regions = propose_regions(brightest(dots(heads)), (96, 96), score=0.02)
    assert len(regions) > 1


@pytest.mark.parametrize("seed", range(5))
def test_heads_everywhere_are_found_once_whatever_the_seams(seed):
    heads = [(3 + 10 * i, 3 + 10 * j) for i in range(12) for j in range(10)]
    image = dots(heads, (128, 112))
    found = zoom_points(brightest, image, threshold=0.3, zoom=1, seed=seed)
    assert matched(found, heads, reach=4.0)


def test_points_are_float32_and_inside_the_image():
    found = zoom_points(brightest, dots([(0, 0), (95, 95), *crowd(6)]), threshold=0.3, zoom=2)
    assert found.dtype == np.float32
    assert found[:, :2].min() >= 0
    assert found[:, :2].max() <= 96
    assert ((found[:, 2] > 0.3) & (found[:, 2] <= 1)).all()


def test_an_image_without_people_is_looked_at_once():
    passes = []

    def infer(image):
        passes.append(image.shape)
        return brightest(image)

    found = zoom_points(infer, dots([]), threshold=0.3, zoom=2)
    assert found.shape == (0, 3)
    assert passes == [(96, 96, 3)]


def test_a_region_is_inferred_at_twice_its_size():
    passes = []

    def infer(image):
        passes.append(image.shape[:2])
        return brightest(image)

    zoom_points(infer, dots(crowd(5)), threshold=0.3, zoom=1, keep=1)
    (left, top, right, bottom) = propose_regions(brightest(dots(crowd(5))), (96, 96), keep=1)[0]
    # with 16 px more on each side, as far as the image goes
    rows = min(bottom + 16, 96) - max(top - 16, 0)
    columns = min(right + 16, 96) - max(left - 16, 0)
    assert passes == [(96, 96), (2 * rows, 2 * columns)]


def test_the_same_seed_gives_the_same_points():
    rng = np.random.default_rng(0)
    image = dots(rng.integers(0, 96, (60, 2)))
    first, again = (zoom_points(brightest, image, threshold=0.3, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    regions = [propose_regions(brightest(image), (96, 96), seed=seed) for seed in (7, 7, 8)]
    np.testing.assert_array_equal(regions[0], regions[1])
    assert not np.array_equal(regions[0], regions[2])


def test_negative_zoom():
    with pytest.raises(ConfigError, match="expected 0 or more, got -1"):
        zoom_points(brightest, dots([]), threshold=0.3, zoom=-1)


def overlap(a, b):
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = sides.clip(0).prod()
    return common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common)


def test_regions_are_crowded_distinct_and_in_order():
    rng = np.random.default_rng(1)
    heatmap = (rng.random((30, 40)) ** 30).astype(np.float32)
    heatmap[:, 25:] = 0
    regions = propose_regions(Prediction(heatmap, STRIDE), (160, 120))
    means = [
        heatmap[top // 4 : -(-bottom // 4), left // 4 : -(-right // 4)].mean()
        for left, top, right, bottom in regions
    ]
    assert 1 < len(regions) <= 10
    assert min(means) >= 0.01
    assert means == sorted(means, reverse=True)
    pairs = [(a, b) for index, a in enumerate(regions) for b in regions[:index]]
    assert max(overlap(a, b) for a, b in pairs) <= 0.5
    assert (regions[:, :2] >= 0).all()
    assert (regions[:, 2:] <= (160, 120)).all()


def test_regions_have_three_ratios_at_two_scales():
    heatmap = np.full((60, 90), 0.5, np.float32)
    regions = propose_regions(Prediction(heatmap, STRIDE), (360, 240), keep=1000)
    sides = {(int(right - left), int(bottom - top)) for left, top, right, bottom in regions}
    small, large = 80, 160  # a third of the short side, and twice that
    root = 2**0.5
    expected = {
        (round(side * ratio), round(side / ratio))
        for side in (small, large)
        for ratio in (1.0, root, 1 / root)
    }
    assert sides == expected


def test_sparse_heads_are_not_worth_a_region():
    heatmap = np.zeros((64, 64), np.float32)
    heatmap[10, 10] = heatmap[50, 40] = 0.9
    assert propose_regions(Prediction(heatmap, 1), (64, 64), score=0.01).shape == (0, 4)
    assert len(propose_regions(Prediction(heatmap, 1), (64, 64), score=0.0001)) > 0


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (2, 40)])
def test_images_smaller_than_a_cell_or_an_anchor(size):
    image = np.full((size[1], size[0], 3), 255, np.uint8)
    regions = propose_regions(brightest(image), size)
    assert len(regions) >= 1
    assert ((regions[:, 2:] > regions[:, :2]) & (regions[:, 2:] <= size)).all()
    assert len(zoom_points(brightest, image, threshold=0.3, zoom=1)) >= 1


def test_attention_is_the_mean_of_the_heatmap_and_what_the_density_expects_of_it():
    heatmap = np.array([[0.4, 0.0, 0.2], [0.0, 0.0, -0.1]], np.float32)
    density = np.array([[0.8, 1.6]], np.float32)  # people per 2 x 2 cells of the heatmap
    found = attention(Prediction(heatmap, 4, density=density, density_stride=8))
    expected = [[0.2 + 0.5, 0.5, 0.1 + 1.0], [0.5, 0.5, 1.0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_density_draws_regions_to_where_the_heatmap_is_silent():
    density = np.zeros((12, 12), np.float32)
    density[2:4, 2:4] = 1.0
    prediction = Prediction(np.zeros((24, 24), np.float32), 4, density=density, density_stride=8)
    for left, top, right, bottom in propose_regions(prediction, (96, 96)):
        assert left < 32
        assert top < 32
        assert right > 16
        assert bottom > 16


def test_any_network_with_a_heatmap_can_zoom():
    import torch

    from edgecount.train.models import build_model

    torch.manual_seed(0)
    infer = predictor(build_model("edgecount-s").eval())
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    prediction = infer(image)
    assert prediction.heatmap.shape == (13, 18)
    assert prediction.density.shape == (7, 9)
    assert (prediction.stride, prediction.density_stride) == (4, 8)
    points = zoom_points(infer, image, threshold=0.01, keep=2, samples=20)
    assert points.shape[1] == 3


def test_a_network_without_a_heatmap_cannot():
    from edgecount.train.models import build_model

    with pytest.raises(ConfigError, match="with a heatmap, got one with density"):
        predictor(build_model("mcnn"))


def test_a_checkpoint_can_be_evaluated_with_zoom(tmp_path):
    from edgecount.train.checkpoint import save_checkpoint
    from edgecount.train.config import config_from_dict, config_to_dict
    from edgecount.train.models import build_model
    from edgecount.train.open_checkpoint import open_checkpoint

    torch.manual_seed(0)
    options = {"name": "edgecount-n", "width": 0.25, "channels": 16, "fine_channels": 8}
    config = config_from_dict({"model": options, "data": [{"reader": "blank"}]})
    network = build_model("edgecount-n", config.model.options)
    with torch.no_grad():
        network.heatmap.bias.fill_(0.0)
    state = {"config": config_to_dict(config), "step": 1, "ema": network.state_dict()}
    save_checkpoint(tmp_path / "last.pt", state)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    with open_checkpoint(tmp_path / "last.pt") as plain:
        once = plain.count(image)
    with open_checkpoint(tmp_path / "last.pt", zoom=1) as zooming:
        twice = zooming.count(image)
    assert twice.peak_count == len(twice.points)
    assert not np.array_equal(twice.points, once.points)
    assert twice.density_count == pytest.approx(once.density_count)
    assert np.isfinite(twice.count)
