"""Crops carry their points with them."""

import numpy as np
import pytest

pytest.importorskip("cv2")

from edgecount.train.data.augment import blank_crop, random_crop, random_look


@pytest.mark.parametrize("seed", range(12))
def test_points_stay_on_what_they_mark(seed):
    rng = np.random.default_rng(seed)
    image = np.zeros((150, 210, 3), np.uint8)
    points = rng.uniform(12, 138, (6, 2)).astype(np.float32)
    for x, y in points:
        image[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 255
    cut, moved, sizes = random_crop(image, points, np.full(6, 7.0), 96, (0.7, 1.4), rng)
    assert cut.shape == (96, 96, 3)
    assert len(moved) == len(sizes)
    for x, y in moved:
        assert cut[min(int(y), 95), min(int(x), 95)].max() > 100


def test_the_count_in_a_crop_is_the_count_of_its_points():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (300, 2)).astype(np.float32)
    image = np.zeros((100, 100, 3), np.uint8)
    _, moved, _ = random_crop(image, points, np.ones(300), 224, (1.5, 1.5), rng)
    assert len(moved) == 300
    assert moved.min() >= 0
    assert moved.max() < 150


def test_small_images_are_padded_with_black():
    rng = np.random.default_rng(3)
    white = np.full((20, 30, 3), 255, np.uint8)
    cut, _, _ = random_crop(white, np.zeros((0, 2), np.float32), np.zeros(0), 64, (1, 1), rng)
    assert (cut[:20, :30] == 255).all()
    assert (cut[20:] == 0).all()


@pytest.mark.parametrize("seed", range(10))
def test_looks_keep_shape_and_type(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for out in (random_look(image, rng), blank_crop(64, rng)):
        assert out.shape == (64, 64, 3)
        assert out.dtype == np.uint8
