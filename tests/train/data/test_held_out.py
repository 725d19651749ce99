"""Lists of held-out images, and sets that are held out as a whole."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import ConfigError
from edgecount.train.checkpoint import load_checkpoint, save_checkpoint
from edgecount.train.config import config_from_dict
from edgecount.train.data.assemble import load_data
from edgecount.train.data.readers import Sample, read_samples
from edgecount.train.data.splits import choose, hold_out_fold, split
from edgecount.train.loop import train

DATA = Path(os.environ.get("EDGECOUNT_DATA", Path(__file__).parents[4] / "shared" / "data"))
MORE = DATA / "more"
PLACES = ("beijing_brt", "citypersons_small")  # whose scenes are days of a camera, and cities


def test_a_set_without_weight_is_held_out_whole(settings, tmp_path):
    part = {"reader": "shanghaitech", "path": "part_X"}
    settings["data"] = [{"reader": "blank"}, {**part, "path": "part_X/", "weight": 0}]
    data = load_data(config_from_dict(settings), tmp_path)
    assert len(data.components) == 1
    assert [sample.name for sample in data.validation["part_X"]] == ["IMG_1", "IMG_2"]


def test_what_is_held_out_is_not_trained_on_by_another_entry(settings, tmp_path):
    part = {"reader": "shanghaitech", "path": "part_X"}
    settings["data"] = [part, {**part, "weight": 0}]
    with pytest.raises(ConfigError, match="2 of the 2 images that are held out as part_X are tra"):
        load_data(config_from_dict(settings), tmp_path)
    settings["data"] = [{**part, "exclude": ["IMG_1"]}, {**part, "weight": 0, "only": "IMG_1"}]
    data = load_data(config_from_dict(settings), tmp_path)
    assert [sample.name for sample in data.components[0].samples] == ["IMG_2"]


def test_errors_of_other_images_are_not_held_against_each_other(settings, tmp_path):
    settings |= {"report": False, "early_stop": 2, "evaluate_every": 2, "validation_images": 1}
    settings["data"] = [
        {"reader": "blank"},
        {"reader": "shanghaitech", "path": "part_X", "weight": 0},
    ]
    train(config_from_dict(settings), tmp_path / "run", device="cpu")
    path = tmp_path / "run" / "last.pt"
    state = load_checkpoint(path)
    state["progress"] = (1e-9, 1, state["progress"][2])  # as of an image that was easy
    save_checkpoint(path, state)
    settings |= {"validation_images": 0, "steps": 8}
    train(config_from_dict(settings), tmp_path / "run", device="cpu", resume=True)
    assert load_checkpoint(path)["progress"][0] > 1e-9
    assert load_checkpoint(tmp_path / "run" / "best.pt")["step"] == 8


@pytest.mark.parametrize(("number", "folds"), [(50, 5), (13, 4)])
def test_every_image_is_in_exactly_one_fold_of_a_fair_size(number, folds):
    none = np.zeros((0, 2), np.float32)
    samples = [Sample(Path(f"{i}.jpg"), none, none[:, 0]) for i in range(number)]
    parts = []
    for fold in range(1, folds + 1):
        training, held = hold_out_fold(samples, fold, folds)
        names = {sample.name for sample in held}
        assert names.isdisjoint(sample.name for sample in training)
        assert len(training) + len(held) == number
        # The order in which a reader lists the images makes no difference.
        again = hold_out_fold(samples[::-1], fold, folds)[1]
        assert {sample.name for sample in again} == names
        parts.append(names)
    assert set.union(*parts) == {sample.name for sample in samples}
    assert sum(map(len, parts)) == number
    assert {len(part) for part in parts} <= {number // folds, -(-number // folds)}


def test_a_fold_is_an_entry_of_the_config(settings, tmp_path):
    settings["data"][0] |= {"folds": 2, "fold": 2}
    data = load_data(config_from_dict(settings), tmp_path)
    (held,) = data.validation["part_X-fold2"]
    (trained,) = data.components[0].samples
    assert {held.name, trained.name} == {"IMG_1", "IMG_2"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"folds": 1}, "data.folds: expected 0, or 2 or more, got 1"),
        ({"folds": 5, "fold": 6}, "data.fold: expected 1 to 5"),
        ({"fold": 2}, "data.fold: expected 1 to 1"),
        ({"folds": 2, "holdout": 0.5}, "data.folds: expected no split, no holdout, and a weight"),
        ({"folds": 5}, "data.folds: expected a set of at least 5 images, got 2"),
    ],
)
def test_folds_that_make_no_sense(settings, tmp_path, entry, message):
    settings["data"][0] |= entry
    with pytest.raises(ConfigError, match=message):
        load_data(config_from_dict(settings), tmp_path)


def test_a_pattern_of_names_chooses_images(settings, tmp_path):
    settings["data"] = [{"reader": "shanghaitech", "path": "part_X", "only": "*_2"}]
    (component,) = load_data(config_from_dict(settings), tmp_path).components
    assert [sample.name for sample in component.samples] == ["IMG_2"]
    settings["data"][0]["only"] = "Part*"
    with pytest.raises(ConfigError, match=r"data\.only: .* like 'Part\*', the first is 'IMG_1'"):
        load_data(config_from_dict(settings), tmp_path)


def test_some_set_is_trained_on(settings, tmp_path):
    settings["data"] = [{"reader": "shanghaitech", "path": "part_X", "weight": 0}]
    with pytest.raises(ConfigError, match=r"data\.weight: .* one set at least"):
        train(config_from_dict(settings), tmp_path / "run")


def test_a_list_may_name_what_is_excluded(tmp_path):
    names = tmp_path / "held.txt"
    names.write_text("a\nb\n")
    samples = [Sample(Path(f"{name}.jpg"), np.zeros((0, 2)), np.zeros(0)) for name in "bcd"]
    with pytest.raises(ConfigError, match="holds out 1 images that the set lacks"):
        split(samples, str(names))
    training, held = split(samples, str(names), ("a",))
    assert [[sample.name for sample in part] for part in (training, held)] == [["c", "d"], ["b"]]


@pytest.mark.skipif(not MORE.is_dir(), reason="the research data are not at hand")
@pytest.mark.parametrize(
    "name",
    ["beijing_brt", "citypersons_small", "ucf_cc_50", "hard_hat", "scut_head_b_more", "negatives"],
)
def test_whole_places_are_held_out(name):
    training, held = split(read_samples("csv_folder", MORE / name), name)
    with (MORE / name / "images.csv").open(newline="") as file:
        scene = {Path(row["image"]).stem: row["scene"] for row in csv.DictReader(file)}
    assert held
    assert not {scene[s.name] for s in training} & {scene[s.name] for s in held}
    if name not in PLACES:  # every picture is a place of its own, but for drives of a car
        own = [s.name for s in (*training, *held) if not s.name.startswith("camvid")]
        chosen = [s.name for s in held if not s.name.startswith("camvid")]
        assert sorted(chosen) == choose(own, len(chosen))
