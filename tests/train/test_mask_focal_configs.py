"""Configs of the Mask Focal Loss paper: the numbers that it prints."""

import math
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("yaml")

from edgecount.train.config import bundled_configs, find_config, load_config
from edgecount.train.data.splits import FOLDER as SPLITS
from edgecount.train.schedules import learning_rate


def _config(name):
    return load_config(find_config(Path(name)))


def test_centernet_is_trained_as_section_iv_c_says():
    config = _config("centernet-dla34")
    assert config.model.options == {"up": "deformable"}
    assert config.crop == (608, 1088)
    assert (config.batch_size, config.optimiser) == (16, "adam")
    assert config.steps * config.batch_size == 30 * 600
    assert learning_rate(0, config) == pytest.approx(1e-4)
    assert learning_rate(config.steps, config) == pytest.approx(1e-5)
    assert config.photometric.probability == 0
    assert not config.data[0].mirror
    assert config.data[0].scale == (1.0, 1.0)
    assert config.backbone_weights == ""


@pytest.mark.parametrize("network", ["retinanet", "fcos", "foveabox", "yolov5"])
@pytest.mark.parametrize(
    ("row", "images"), [("scut-head-a", 1500), ("scut-head-b", 1905), ("gta-head", 3500)]
)
def test_detectors_are_trained_as_section_iv_d_says(network, row, images):
    for name, loss in ((f"{network}-{row}", "poly-L_m"), (f"{network}-{row}-lf", "L_f")):
        config = _config(name)
        assert config.model.name == network
        assert config.objective.options == {"classification": loss}
        assert (config.batch_size, config.optimiser) == (8, "sgd")
        assert (config.learning_rate, config.weight_decay) == (0.01, 1e-4)
        assert config.steps == math.ceil(36 * images / 8)
        assert config.data[0].scale == (1.0, 1.0)
        assert config.photometric.probability == 0
        assert config.max_side == 1333
        assert config.backbone_weights == ""


@pytest.mark.parametrize("part", ["A", "B"])
@pytest.mark.parametrize(
    "network", ["centernet", "retinanet", "fcos", "foveabox", "yolov5", "csrnet", "cannet"]
)
def test_table_vi_has_each_part_of_scut_head_in_its_authors_split(network, part):
    trained, measured = _config(f"{network}-scut-head-{part.lower()}").data
    folder = f"scut_head/SCUT_HEAD_Part_{part}"
    assert (trained.reader, trained.path) == ("scut_head", folder)
    assert measured.path == f"{folder}/ImageSets/Main/test.txt"
    assert measured.weight == 0


# MAE and RMSE aside, the rows of Tables III to V: loss, gamma, beta
ROWS = {("L_h", 2.0, 4.0)}
ROWS |= {("L_m", 4.0, beta) for beta in (0.25, 0.375, 0.5, 1.0)}
ROWS |= {("poly-L_m", float(gamma), 0.0) for gamma in range(1, 7)}
ROWS |= {("poly-L_m", 3.0, 0.3), ("poly-L_m", 3.0, 0.5)}
ROWS |= {("poly-L_m", 4.0, beta) for beta in (0.3, 0.5, 0.75, 1.0)}
ROWS |= {("poly-L_m", 5.0, beta) for beta in (0.3, 0.5, 1.0)}


def test_every_row_of_tables_iii_to_v_has_a_config():
    names = [name for name in bundled_configs() if name.startswith("centernet-gta-head")]
    options = [_config(name).objective.options for name in names]
    assert {(o["heatmap_loss"], o["gamma"], o["beta"]) for o in options} == ROWS
    assert len(names) == len(ROWS)


def test_the_parts_of_scut_head_hold_out_their_share_of_the_whole_list():
    def names(split):
        return (SPLITS / f"{split}.txt").read_text().split()

    assert names("scut_head_a") + names("scut_head_b") == names("scut_head")
