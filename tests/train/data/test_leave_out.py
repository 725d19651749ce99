"""Sets that a config leaves out: not trained on, and held out whole."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import ConfigError
from edgecount.train.config import config_from_dict
from edgecount.train.data.assemble import load_data, load_held_out
from edgecount.train.loop import train

PART = {"reader": "shanghaitech", "path": "part_X"}


@pytest.fixture
def lists(tmp_path):
    path = tmp_path / "place.txt"
    path.write_text("IMG_1\n")
    return str(path)


def test_a_set_that_is_left_out_is_measured_whole_whatever_its_list_says(settings, lists, tmp_path):
    settings["data"] = [{**PART, "split": lists}, {"reader": "blank"}]
    trained = load_data(config_from_dict(settings), tmp_path)
    assert [[sample.name for sample in part.samples] for part in trained.components] == [
        ["IMG_2"],
        [],
    ]
    config = config_from_dict({**settings, "leave_out": ["place"]})
    data = load_data(config, tmp_path)
    (rest,) = data.components
    assert rest.samples == []
    assert [sample.name for sample in data.validation["place"]] == ["IMG_1", "IMG_2"]
    assert [sample.name for sample in load_held_out(config, tmp_path)["place"]] == [
        "IMG_1",
        "IMG_2",
    ]


def test_a_set_without_a_list_is_called_after_its_folder(settings, tmp_path):
    settings["data"] = [{**PART, "holdout": 0.5}, {"reader": "blank"}]
    config = config_from_dict({**settings, "leave_out": ["part_X"]})
    data = load_data(config, tmp_path)
    assert len(data.components) == 1  # blank
    assert [sample.name for sample in data.validation["part_X"]] == ["IMG_1", "IMG_2"]


def test_excluded_images_stay_out(settings, tmp_path):
    settings["data"] = [{**PART, "exclude": ["IMG_2"]}, {"reader": "blank"}]
    config = config_from_dict({**settings, "leave_out": ["part_X"]})
    assert [one.name for one in load_data(config, tmp_path).validation["part_X"]] == ["IMG_1"]


def test_a_training_needs_a_set_that_is_not_left_out(settings, tmp_path):
    settings["data"] = [PART]
    config = config_from_dict({**settings, "leave_out": ["part_X"]})
    with pytest.raises(ConfigError, match="one set at least that is not in leave_out, got none"):
        train(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("entry", "left_out", "message"),
    [
        ({}, ["park"], r"leave_out: expected some of part_X, got 'park'"),
        ({"folds": 2}, ["part_X-fold1"], r"leave_out: expected sets without folds"),
    ],
)
def test_names_that_cannot_be_left_out(settings, entry, left_out, message):
    settings["data"] = [{**PART, **entry}, {"reader": "blank"}]
    with pytest.raises(ConfigError, match=message):
        config_from_dict({**settings, "leave_out": left_out})
