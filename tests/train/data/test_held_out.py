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
from edgecount.train.config import config_from_dict
from edgecount.train.data.assemble import load_data
from edgecount.train.data.readers import Sample, read_samples
from edgecount.train.data.splits import choose, split
from edgecount.train.loop import train

DATA = Path(os.environ.get("EDGECOUNT_DATA", Path(__file__).parents[4] / "shared" / "data"))
MORE = DATA / "more"
PLACES = ("beijing_brt", "citypersons_small")  # whose scenes are days of a camera, and cities


def test_a_set_without_weight_is_held_out_whole(settings, tmp_path):
    part = {"reader": "shanghaitech", "path": "part_X"}
    settings["data"] = [part, {**part, "path": "part_X/", "weight": 0}]
    data = load_data(config_from_dict(settings), tmp_path)
    assert len(data.components) == 1
    assert [sample.name for sample in data.validation["part_X"]] == ["IMG_1", "IMG_2"]


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
