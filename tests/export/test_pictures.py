"""Images for calibration and proof."""

import cv2
import numpy as np
import pytest

from edgecount.errors import ConfigError, SourceError
from edgecount.export.pictures import (
    LARGEST_CROP,
    Pictures,
    Scenes,
    calibration_tensors,
    warnings_about,
)
from edgecount.export.proof import Picture
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
    return tmp_path


def test_a_seeded_choice_of_all_folders(folder):
    some = Pictures(folder, 5, "--verify")
    assert len(some) == len(list(some)) == 5
    assert [p.name for p in some] == [p.name for p in Pictures(folder, 5, "--verify")]
    everything = Pictures(folder, 100, "--verify")
    assert {p.name for p in everything} == {
        f"more/{i:02}.png" if i % 2 else f"{i:02}.png" for i in range(20)
    }
    assert next(iter(everything)).image.shape == (64, 96, 3)


def test_other_images_where_there_are_any(folder):
    first = Pictures(folder, 15, "--calibration")
    rest = Pictures(folder, 40, "--calibration", first.paths)
    assert not set(first.paths) & set(rest.paths)
    assert len(rest) == 5
    every = Pictures(folder, 40, "--calibration")
    assert len(Pictures(folder, 40, "--calibration", every.paths)) == 20


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(ConfigError, match="--calibration: expected a folder of images"):
        Pictures(tmp_path / "none", 3, "--calibration")
    with pytest.raises(ConfigError, match=r"--verify: expected images \(jpg, .*found none"):
        Pictures(tmp_path, 3, "--verify")


def test_an_unreadable_image_is_named(folder):
    whole = (folder / "02.png").read_bytes()
    (folder / "02.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"02\.png"):
        list(Pictures(folder, 100, "--calibration"))


def test_tensors_are_what_the_runtime_would_feed():
    image = np.full((70, 100, 3), 255, np.uint8)
    (tensor,) = calibration_tensors([Picture("white", image)], InputSpec())
    assert tensor.shape == (1, 3, 96, 128)
    assert tensor[0, :, :70, :100].min() == 1.0
    assert tensor[0, :, 70:].max() == -1.0


def test_a_part_of_a_large_image_at_its_own_scale():
    image = np.random.default_rng(0).integers(0, 256, (1000, 1400, 3), np.uint8)
    (tensor,) = calibration_tensors([Picture("large", image)], InputSpec())
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
    (tensor,) = calibration_tensors([Picture("large", image)], spec)
    assert tensor.shape == (1, 3, 128, 160)


def test_warnings(folder):
    assert warnings_about(Pictures(folder, 20, "--calibration")) == []
    few = warnings_about(Pictures(folder, 4, "--calibration"))
    assert [w.split(" calibration images are few")[0] for w in few] == ["4"]
    image = next(iter(Pictures(folder, 1, "--verify"))).image
    rng = np.random.default_rng(1)
    alike = [
        Picture(f"{i}", np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8))
        for i in range(20)
    ]
    assert ["look alike" in text for text in warnings_about(alike)] == [True]


def test_rendered_scenes_stand_in():
    scenes = Scenes()
    first = next(iter(scenes))
    assert len(scenes) == 8
    assert first.image.dtype == np.uint8
    assert "20 people" in first.name
