"""`edgecount train --list`, and what is said of sets and weights that are not here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")

from edgecount.cli import cli  # noqa: E402
from edgecount.errors import ModelError, SourceError  # noqa: E402
from edgecount.train.config import config_from_dict, find_config, load_config  # noqa: E402
from edgecount.train.config.extends import bundled_configs  # noqa: E402
from edgecount.train.data.origins import ORIGINS, origin_of  # noqa: E402
from edgecount.train.data.readers import READERS, read_samples  # noqa: E402
from edgecount.train.learner import check_weights  # noqa: E402
from edgecount.train.models.pretrained import published_as  # noqa: E402

# Layouts that many sets have.
LAYOUTS = {"voc", "mot", "coco", "yolo", "csv", "csv_folder", "empty"}


def run(*args: str) -> str:
    result = CliRunner().invoke(cli, ["train", *args], prog_name="edgecount")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with ShanghaiTech A and VGG-16's weights, as far as names go."""
    (tmp_path / "shanghaitech" / "part_A" / "train").mkdir(parents=True)
    (tmp_path / "backbones").mkdir()
    (tmp_path / "backbones" / "vgg16.pth").touch()
    monkeypatch.setenv("EDGECOUNT_DATA", str(tmp_path))
    return tmp_path


def test_the_list_says_what_is_not_here(data):
    lines = run("--list").splitlines()
    assert lines[0].split() == ["config", "network", "sets", "paper", "not", "here"]
    rows = {line.split()[0]: line for line in lines[1:] if line and not line.startswith(" ")}
    assert set(bundled_configs()) <= set(rows)
    assert rows["hsrnet"].endswith("HSRNet, Table 1 (ShanghaiTech A)")
    assert rows["centernet-dla34"].split("  ")[-1].strip() == "scut_head"
    assert f"Sets and weights are searched in {data}. Not there:" in lines
    assert f"  scut_head: {ORIGINS['scut_head']}" in lines


def test_the_list_as_json(data):
    configs = {one["name"]: one for one in json.loads(run("--list", "--json"))}
    assert list(configs) == sorted(bundled_configs())
    assert configs["hsrnet"]["ready"] is True
    assert configs["hsrnet"]["network"] == "hsrnet"
    assert {need["path"]: need["here"] for need in configs["hsrnet"]["needs"]} == {
        "shanghaitech/part_A/train": True,
        "backbones/vgg16.pth": True,
    }
    (data / "backbones" / "vgg16.pth").unlink()
    configs = {one["name"]: one for one in json.loads(run("--list", "--json"))}
    assert configs["hsrnet"]["ready"] is False
    assert configs["tiny"]["needs"] == []


def test_without_a_data_folder_nothing_is_here(monkeypatch):
    monkeypatch.delenv("EDGECOUNT_DATA", raising=False)
    assert "searched in EDGECOUNT_DATA, which is not set. Not there:" in run("--list")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "expected CONFIG: a YAML file, or a name that --list shows"),
        (["tiny"], "expected --out DIR, the folder of the run"),
        (["tiny", "--out", "x", "--json"], "--json is for --list"),
    ],
)
def test_a_run_needs_its_config_and_its_folder(args, message):
    result = CliRunner().invoke(cli, ["train", *args], prog_name="edgecount")
    assert result.exit_code == 2
    assert message in result.stderr


def test_every_set_with_a_reader_has_a_home(tmp_path):
    for reader in set(READERS) - LAYOUTS:
        origin = origin_of(reader, Path("anywhere"))
        assert origin is not None, reader
        with pytest.raises(SourceError) as caught:
            read_samples(reader, tmp_path / "missing")
        assert str(origin) in str(caught.value)
        assert "\n" not in str(caught.value)
    # SCUT-HEAD is also read as the Pascal VOC set that it is.
    assert origin_of("voc", Path("sets/SCUT_HEAD")) == ORIGINS["scut_head"]
    assert origin_of("voc", Path("sets/mine")) is None


def test_a_missing_backbone_is_told_with_its_file(tmp_path):
    names = {load_config(path).backbone_weights for path in bundled_configs().values()}
    for name in names - {""}:
        config = {"model": "mcnn", "data": [{"reader": "blank"}], "data_root": str(tmp_path)}
        with pytest.raises(ModelError) as caught:
            check_weights(config_from_dict({**config, "backbone_weights": name}))
        message = str(caught.value)
        assert message.startswith(f"backbone_weights: there is no file {tmp_path / name}: ")
        assert f"Put {published_as(Path(name))} there" in message
        assert "with torchvision's names" not in message  # a file that nobody knows
        assert "\n" not in message


def test_a_pattern_of_weights_is_found(tmp_path):
    config = {"model": "mcnn", "data": [{"reader": "blank"}], "data_root": str(tmp_path)}
    config = config_from_dict({**config, "backbone_weights": "lite0_*.npz"})
    with pytest.raises(ModelError, match="there is no file"):
        check_weights(config)
    (tmp_path / "lite0_1.npz").touch()
    check_weights(config)


def test_weights_of_an_earlier_config_are_asked_for_by_its_name(data):
    with pytest.raises(ModelError, match="train the config raznet-counting first and name its"):
        check_weights(load_config(find_config(Path("raznet"))))


def test_the_page_of_annotated_images_names_every_home():
    page = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for origin in ORIGINS.values():
        assert origin.home in page
        assert f"| {origin.title} |" in page
