"""Drawn pictures without people."""

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount.errors import ConfigError, OutputError
from edgecount.train.config import config_from_dict
from edgecount.train.data import patterns
from edgecount.train.data.assemble import load_data
from edgecount.train.data.patterns import draw_pattern
from edgecount.train.data.scenes import draw_samples


def test_a_picture_is_that_of_its_seed():
    first, again, other = draw_pattern(1), draw_pattern(1), draw_pattern(2)
    assert first.shape == (480, 640, 3)
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).any()
    assert draw_pattern(3, (97, 51)).shape == (51, 97, 3)


@pytest.mark.parametrize("kind", patterns._KINDS)
@pytest.mark.parametrize("size", [(640, 480), (33, 40)])
def test_each_kind_draws_things_in_great_number(kind, size):
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    patterns._KINDS[kind](image, np.random.default_rng(5))
    edges = cv2.Canny(image, 50, 150) > 0
    assert edges.mean() > 0.01
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 1


def test_balls_have_bright_colours_that_no_crowd_has():
    rng = np.random.default_rng(0)
    colours = np.array([[patterns._colour(rng, 0.6) for _ in range(500)]]).astype(np.uint8)
    assert cv2.cvtColor(colours, cv2.COLOR_BGR2HSV)[..., 1].min() >= 140


def test_pictures_are_drawn_once(tmp_path, monkeypatch):
    drawn = []

    def draw(seed):
        drawn.append(seed)
        return draw_pattern(seed, (64, 48))

    monkeypatch.setattr("edgecount.train.data.scenes.draw_pattern", draw)
    samples = draw_samples(tmp_path / "scenes", 2, 7)
    again = draw_samples(tmp_path / "scenes", 3, 7)
    assert drawn == [700_000, 700_001, 700_002]
    assert [one.path.name for one in again] == [f"pattern_{index}.png" for index in drawn]
    assert all(len(one.points) == len(one.sizes) == 0 for one in again)
    assert samples[0].image().shape == (48, 64, 3)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write drawn pictures to .*file"):
        draw_samples(tmp_path / "file", 1, 0)


def test_they_are_a_set_of_a_mixture(tmp_path):
    entries = [{"reader": "patterns", "number": 2, "weight": 1, "scale": [0.5, 1.5]}]
    settings = {"model": "edgecount-n", "objective": "edge", "data": entries, "crop": 64}
    data = load_data(config_from_dict(settings), tmp_path)
    assert [len(one.samples) for one in data.components] == [2]
    assert not data.validation
    settings["data"] = [{"reader": "patterns", "weight": 1}]
    with pytest.raises(ConfigError, match=r"data\.number: expected how many patterns to draw"):
        load_data(config_from_dict(settings), tmp_path)
