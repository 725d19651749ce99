"""Crops carry their points and boxes with them."""

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.config import PhotometricAugmentation  # noqa: E402
from edgecount.train.data.augment import blank_crop, blurred_away, random_crop  # noqa: E402
from edgecount.train.data.photometric import distort_photometric  # noqa: E402
from edgecount.train.data.sample import Sample  # noqa: E402
from edgecount.train.data.windows import CropRule  # noqa: E402
from edgecount.train.targets.boxes import boxes_around  # noqa: E402


def crop(image, points, seed=0, *, size=(64, 64), scale=(1.0, 1.0), window="free", side=7.0):
    points = np.asarray(points, np.float32).reshape(-1, 2)
    sizes = np.full(len(points), side, np.float32)
    return random_crop(
        image,
        points,
        sizes,
        boxes_around(points, sizes[:, None]),
        CropRule(size, scale, window=window),
        np.random.default_rng(seed),
    )


def numbered(height, width):
    """Draw an image whose blue is the column and whose green is the row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 9)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("window", ["free", "quarters"])
@pytest.mark.parametrize("seed", range(12))
def test_points_and_boxes_stay_on_what_they_mark(seed, window):
    rng = np.random.default_rng(seed)
    image = np.zeros((150, 210, 3), np.uint8)
    points = np.floor(rng.uniform(12, 138, (6, 2))) + 0.5
    for x, y in points:
        image[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 255
    out = crop(image, points, seed, size=(80, 96), scale=(0.7, 1.4), window=window)
    assert out.image.shape == (80, 96, 3)
    assert len(out.points) == len(out.sizes) == len(out.boxes)
    for x, y in out.points:
        assert out.image[int(y), int(x)].max() > 100
    centres = (out.boxes[:, :2] + out.boxes[:, 2:]) / 2
    assert centres == pytest.approx(out.points, abs=1e-3)
    for (left, top, right, bottom), size in zip(out.boxes, out.sizes, strict=True):
        assert left < right
        assert top < bottom
        assert ((right - left) * (bottom - top)) ** 0.5 == pytest.approx(size, rel=1e-4)


def test_the_borders_are_seen_as_often_as_the_middle():
    image = numbered(200, 250)
    columns, rows = np.zeros(250), np.zeros(200)
    for seed in range(600):
        patch = crop(image, np.zeros((0, 2)), seed, size=(80, 80), scale=(1.0, 1.0)).image
        columns[np.unique(patch[:, :, 0])] += 1
        rows[np.unique(patch[:, :, 1])] += 1
    for seen in (columns, columns[::-1], rows, rows[::-1]):
        middle = seen[80:120].mean()
        assert seen[:80].mean() == pytest.approx(middle, rel=0.2)
        assert seen[0] > 0.3 * middle


def test_lopsided_boxes_are_mirrored_with_the_picture():
    image = numbered(32, 32)
    points = np.array([[10.5, 4.5]], np.float32)
    boxes = np.array([[8, 4, 20, 6]], np.float32)
    seen = set()
    for seed in range(8):
        out = random_crop(
            image,
            points,
            np.ones(1, np.float32),
            boxes,
            CropRule((32, 32)),
            np.random.default_rng(seed),
        )
        mirrored = bool(out.image[0, 0, 0] == 31)
        seen.add(mirrored)
        assert out.points.tolist() == ([[21.5, 4.5]] if mirrored else [[10.5, 4.5]])
        assert out.boxes.tolist() == ([[12, 4, 24, 6]] if mirrored else [[8, 4, 20, 6]])
        assert out.image[4, int(out.points[0, 0])].tolist() == [10, 4, 9]
    assert seen == {False, True}


def test_the_count_in_a_crop_is_the_count_of_its_points():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (300, 2))
    image = np.zeros((100, 100, 3), np.uint8)
    out = crop(image, points, size=(224, 224), scale=(1.5, 1.5))
    assert len(out.points) == 300
    assert out.points.min() >= 0
    assert out.points.max() < 150


def test_points_just_outside_are_kept_and_others_dropped():
    points = [[-1, 10], [60.9, 20], [30, 40], [-1.1, 10], [10, 41.5], [60, 40]]
    out = crop(np.zeros((40, 60, 3), np.uint8), points)
    assert len(out.points) == 4
    assert (out.points >= 0).all()
    assert (out.points < [60, 40]).all()


def test_a_crop_of_the_whole_image_has_the_people_on_all_its_edges():
    points = [[0, 0], [64, 64], [0, 64], [64, 0], [32, 64]]
    for seed in range(6):
        assert len(crop(np.zeros((64, 64, 3), np.uint8), points, seed).points) == 5


def test_small_images_are_padded_with_black():
    white = np.full((20, 30, 3), 255, np.uint8)
    out = crop(white, [], 3)
    assert (out.image[:20, :30] == 255).all()
    assert (out.image[20:] == 0).all()
    assert (out.image[:, 30:] == 0).all()
    assert out.boxes.shape == (0, 4)


def test_quarters_are_cut_from_windows_of_half_the_sides():
    image = numbered(100, 140)
    corners = []
    for seed in range(400):
        out = crop(image, [], seed, size=(50, 70), window="quarters")
        # black nowhere: red is 9 all over the picture
        assert (out.image[:, :, 2] == 9).all()
        columns = out.image[0, :, 0]
        corners.append((int(columns.min()), int(out.image[0, 0, 1])))
    quarters = {(0, 0), (70, 0), (0, 50), (70, 50)}
    assert quarters <= set(corners)
    # 4 in 14 are quarters; random windows hit one in no more than 4 of 3600.
    share = np.mean([corner in quarters for corner in corners])
    assert 0.22 < share < 0.36
    assert len(set(corners)) > 200


def test_quarters_keep_the_parts_of_crops_inside_them():
    out = crop(numbered(100, 140), [], size=(96, 96), window="quarters")
    assert (out.image[:50, :70, 2] == 9).all()
    assert (out.image[50:] == 0).all()
    assert (out.image[:, 70:] == 0).all()


def test_scales_are_spread_evenly_in_log():
    image = np.full((400, 400, 3), 255, np.uint8)
    sides = [
        crop(image, [[200, 200]], seed, size=(1000, 1000), scale=(0.5, 2.0)).sizes[0] / 7
        for seed in range(60)
    ]
    assert 0.5 <= min(sides) < 0.65
    assert 1.5 < max(sides) <= 2.0
    assert np.mean(np.log(sides)) == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize("seed", range(10))
def test_distortion_keeps_shape_and_type(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    often = PhotometricAugmentation(
        grey=0.5, night=0.5, blur=0.5, low_resolution=0.5, noise=0.5, jpeg=0.5
    )
    for augmentation in (None, often):
        out = distort_photometric(image, rng, augmentation)
        assert out.shape == (48, 64, 3)
        assert out.dtype == np.uint8
    assert blank_crop(64, rng).shape == (64, 64, 3)


def test_distortions_do_what_they_are_called():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    nothing = dict.fromkeys(("grey", "night", "blur", "low_resolution", "noise", "jpeg"), 0.0)

    def detail(**chosen):
        out = distort_photometric(
            image, np.random.default_rng(1), PhotometricAugmentation(**{**nothing, **chosen})
        )
        return float(np.abs(np.diff(out.astype(float), axis=1)).mean()), out

    plain, out = detail()
    assert (out != out[:, :, :1]).any()
    assert (detail(grey=1.0)[1] == detail(grey=1.0)[1][:, :, :1]).all()
    assert detail(night=1.0)[1].mean() < 0.7 * out.mean()
    assert detail(blur=1.0)[0] < 0.9 * plain
    assert detail(low_resolution=1.0)[0] < 0.9 * plain


def test_no_distortion_leaves_the_image_alone():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for seed in range(5):
        never = PhotometricAugmentation(probability=0.0)
        assert distort_photometric(image, np.random.default_rng(seed), never) is image


def test_a_probability_is_one():
    with pytest.raises(ConfigError, match=r"photometric\.grey: expected a probability"):
        PhotometricAugmentation(grey=1.5)


def test_nobody_is_left_in_a_picture_blurred_away():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (192, 192, 3), dtype=np.uint8)
    cv2.circle(image, (96, 96), 12, (0, 0, 0), -1)
    out = blurred_away(image, rng)
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    neighbours = np.abs(np.diff(out.astype(int), axis=1))
    assert neighbours.max() <= 3


@pytest.mark.parametrize("factor", [0.3, 0.5, 1, 1.7, 2])
def test_a_region_is_as_large_a_part_at_any_size(tmp_path, factor):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((60, 80, 3), 99, np.uint8))
    none = np.zeros((0, 2), np.float32)
    whole = np.array([(0, 0), (79, 0), (79, 59), (0, 59)], np.float32)
    half = np.array([(0, 0), (39, 0), (39, 59), (0, 59)], np.float32)
    for region, share in ((whole, 1.0), (half, 0.5)):
        sample = Sample(tmp_path / "a.png", none, none[:, 0], region=region).shrunk(factor)
        image = sample.image()
        assert sample.mask(*image.shape[:2]).mean() == pytest.approx(share, abs=1 / image.shape[1])
