"""Images for calibration and proof."""

import cv2
import numpy as np
import pytest

from edgecount.errors import ConfigError, SourceError
from edgecount.export.verify.compare import NamedImage
from edgecount.export.verify.images import (
    LARGEST_CROP,
    ImageFolder,
    RenderedScenes,
    calibration_tensors,
    split_images,
    spread,
    warnings_about,
)
from edgecount.manifest import InputSpec


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "more").mkdir()
    for index in range(20):
        coarse = rng.integers(0, 256, (6, 8, 3), np.uint8)
        name = tmp_path / ("more" if index % 2 else ".") / f"{index:02}.png"
        cv2.imwrite(str(name), cv2.resize(coarse, (96, 64)))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "00.overlay.png").write_bytes(b"of an earlier count")
    return tmp_path


def test_a_seeded_choice_of_all_folders(folder):
    everything = ImageFolder.of(folder, "verify")
    assert {p.name for p in everything} == {
        f"more/{i:02}.png" if i % 2 else f"{i:02}.png" for i in range(20)
    }
    some = everything.sample(5)
    assert len(some) == len(list(some)) == 5
    assert some.paths == everything.sample(5).paths
    assert next(iter(everything)).pixels.shape == (64, 96, 3)


def test_some_are_kept_for_the_proof(folder):
    everything = ImageFolder.of(folder, "calibration")
    own, apart = split_images(everything, 100, reserve=True)
    assert (len(own), len(apart)) == (15, 5)
    assert not set(own.paths) & set(apart.paths)
    own, apart = split_images(everything, 6, reserve=True)
    assert (len(own), len(apart)) == (6, 5)
    own, apart = split_images(everything, 100, reserve=False)
    assert (len(own), apart) == (20, None)
    few = everything.sample(12)
    assert split_images(few, 100, reserve=True) == (few, None)


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(ConfigError, match="calibration: expected a folder of images"):
        ImageFolder.of(tmp_path / "none", "calibration")
    with pytest.raises(ConfigError, match=r"verify: expected images \(jpg, .*found none"):
        ImageFolder.of(tmp_path, "verify")


def test_an_unreadable_image_is_named(folder):
    whole = (folder / "02.png").read_bytes()
    (folder / "02.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"02\.png"):
        list(ImageFolder.of(folder, "calibration"))


def test_tensors_are_what_the_runtime_would_feed():
    image = np.full((70, 100, 3), 255, np.uint8)
    (tensor,) = calibration_tensors([NamedImage("white", image)], InputSpec())
    assert tensor.shape == (1, 3, 96, 128)
    assert tensor[0, :, :70, :100].min() == 1.0
    assert tensor[0, :, 70:].max() == -1.0


def test_a_part_of_a_large_image_at_its_own_scale():
    image = np.random.default_rng(0).integers(0, 256, (1000, 1400, 3), np.uint8)
    (tensor,) = calibration_tensors([NamedImage("large", image)], InputSpec())
    assert tensor.shape == (1, 3, LARGEST_CROP, LARGEST_CROP)
    whole = np.moveaxis(image[:, :, ::-1].astype(np.float32), 2, 0) / 127.5 - 1
    places = {(y, x) for y in range(0, 260, 32) for x in range(0, 640, 32)}
    assert any(
        np.allclose(whole[:, y : y + 8, x : x + 8], tensor[0, :, :8, :8], atol=1e-5)
        for y, x in places
    )


def test_a_model_of_one_size_is_fed_that_size():
    image = np.zeros((1000, 1400, 3), np.uint8)
    spec = InputSpec(static_size=(128, 160))
    (tensor,) = calibration_tensors([NamedImage("large", image)], spec)
    assert tensor.shape == (1, 3, 128, 160)


def test_warnings(folder):
    assert warnings_about(ImageFolder.of(folder, "calibration")) == []
    few = warnings_about(ImageFolder.of(folder, "calibration").sample(4))
    assert [w.split(" calibration images are few")[0] for w in few] == ["4"]
    (one,) = warnings_about(ImageFolder.of(folder, "calibration").sample(1))
    assert one.startswith("1 calibration image is few: ")
    image = next(iter(ImageFolder.of(folder, "verify"))).pixels
    rng = np.random.default_rng(1)
    alike = [
        NamedImage(f"{i}", np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8))
        for i in range(20)
    ]
    assert ["look alike" in text for text in warnings_about(alike)] == [True]


def test_rendered_scenes_stand_in():
    scenes = RenderedScenes()
    first = next(iter(scenes))
    assert len(scenes) == 8
    assert first.pixels.dtype == np.uint8
    assert "20 people" in first.name


@pytest.mark.parametrize("number", [7, 12, 31, 40, 200])
@pytest.mark.parametrize("period", [1, 2, 3])
def test_the_first_few_are_spread_over_all(number, period):
    order = spread(range(number))
    assert sorted(order) == list(range(number))
    few = order[:6]
    thirds = {3 * index // number for index in few}
    assert thirds == {0, 1, 2}
    assert {index % period for index in few} == set(range(period))
