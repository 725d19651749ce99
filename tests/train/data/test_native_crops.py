"""Crops of the image's own pixels, and how resampling and cameras change pixels."""

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.config import DataConfig, PhotometricAugmentation  # noqa: E402
from edgecount.train.data.augment import random_crop  # noqa: E402
from edgecount.train.data.photometric import distort_photometric  # noqa: E402
from edgecount.train.data.windows import CropRule  # noqa: E402
from edgecount.train.targets.boxes import boxes_around  # noqa: E402

NOBODY = np.zeros((0, 2), np.float32)


def crop(image, seed, points=NOBODY, **options):
    sizes = np.full(len(points), 5.0, np.float32)
    rule = CropRule(**{"size": (64, 96), "scale": (0.5, 0.9), **options})
    boxes = boxes_around(points, sizes[:, None])
    return random_crop(image, points, sizes, boxes, rule, np.random.default_rng(seed))


def where(image, patch):
    """Left and top of a patch in an image, as it is or mirrored; None: not its pixels."""
    for turned in (patch, patch[:, ::-1]):
        place = np.argwhere((image == turned[0, 0]).all(axis=2))
        for top, left in place:
            height, width = turned.shape[:2]
            if np.array_equal(image[top : top + height, left : left + width], turned):
                return int(left), int(top), turned is not patch
    return None


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)


@pytest.mark.parametrize("window", ["free", "quarters"])
def test_a_native_crop_has_the_pixels_of_the_image(noise, window):
    points = np.random.default_rng(1).uniform(0, 200, (40, 2)).astype(np.float32)
    for seed in range(10):
        out = crop(noise, seed, points, native=1.0, window=window)
        left, top, mirrored = where(noise, out.image)
        inside = points - (left, top)
        inside = inside[((inside >= 0) & (inside < (96, 64))).all(axis=1)]
        if mirrored:
            inside[:, 0] = 96 - inside[:, 0]
        assert out.points == pytest.approx(inside, abs=1e-4)
        assert out.sizes == pytest.approx(np.full(len(inside), 5.0))


def test_a_native_crop_of_a_small_image_is_the_image(noise):
    small = noise[:40, :50]
    out = crop(small, 0, native=1.0).image
    assert where(small, out[:40, :50])[:2] == (0, 0)
    assert out[40:].max() == out[:, 50:].max() == 0


def test_the_share_of_native_crops(noise):
    native = sum(
        where(noise, crop(noise, seed, native=0.5).image) is not None for seed in range(80)
    )
    assert 28 <= native <= 52
    assert all(where(noise, crop(noise, seed).image) is None for seed in range(8))


def test_nothing_is_drawn_for_what_never_happens(noise):
    """So that runs of older configs can be resumed with the crops that they would have seen."""
    one, other = crop(noise, 3), crop(noise, 3, native=0.0, kernels=0.0)
    assert np.array_equal(one.image, other.image)
    distorted = distort_photometric(
        noise, np.random.default_rng(5), PhotometricAugmentation(sharpen=0, chroma=0, recompress=0)
    )
    assert np.array_equal(distort_photometric(noise, np.random.default_rng(5)), distorted)


def test_resizing_kernels_vary(noise):
    seen = {crop(noise, 3, kernels=1.0, scale=(0.7, 0.7)).image.std().round(1) for _ in range(2)}
    assert len(seen) == 1  # of one seed
    sharpness = [crop(noise, seed, kernels=1.0, scale=(0.7, 0.7)).image.std() for seed in range(30)]
    area = [crop(noise, seed, scale=(0.7, 0.7)).image.std() for seed in range(30)]
    assert np.std(sharpness) > 4 * np.std(area)


def edge():
    """Dark left, bright right, and as sharp as can be: uint8 (64, 64, 3)."""
    image = np.full((64, 64, 3), 80, np.uint8)
    image[:, 32:] = 160
    return image


def only(**probabilities):
    """Distortions of one kind, where the tone stays as it is."""
    none = dict.fromkeys(("grey", "night", "blur", "low_resolution", "noise", "jpeg"), 0.0)
    return PhotometricAugmentation(**{**none, **probabilities})


def steady(monkeypatch):
    from edgecount.train.data import photometric

    monkeypatch.setattr(photometric, "_tone", lambda *_: np.arange(256, dtype=np.uint8))


def test_sharpening_has_halos(monkeypatch):
    steady(monkeypatch)
    out = distort_photometric(edge(), np.random.default_rng(0), only(sharpen=1.0))
    assert out[:, :32].min() < 78
    assert out[:, 32:].max() > 162
    assert (out[:, :20] == 80).all()


def test_colour_is_halved_and_light_is_not(monkeypatch):
    steady(monkeypatch)
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (200, 60, 60), (60, 60, 200)
    out = distort_photometric(stripes, np.random.default_rng(0), only(chroma=1.0))
    light = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(int) for image in (stripes, out)]
    assert np.abs(light[0] - light[1]).max() <= 20
    assert np.ptp(out[8:-8, 8:-8, 0].astype(int)) < 80


def test_recompression_is_mild(noise, monkeypatch):
    steady(monkeypatch)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    for seed in range(6):
        out = distort_photometric(smooth, np.random.default_rng(seed), only(recompress=1.0))
        assert out.shape == smooth.shape
        assert 0 < np.abs(out.astype(int) - smooth).mean() < 16  # saturation varies as well


@pytest.mark.parametrize("native", [-0.1, 1.1])
def test_a_wrong_share_is_named(native):
    with pytest.raises(ConfigError, match=r"data\.native: expected a share in \[0, 1\]"):
        DataConfig("blank", native=native)
