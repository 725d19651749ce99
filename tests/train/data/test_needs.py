"""Sets and weights that a config reads and that are not here: all are told at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("yaml")

from edgecount.cli import cli
from edgecount.errors import ConfigError, ModelError, SourceError
from edgecount.train.config import (
    TrainConfig,
    bundled_configs,
    config_from_dict,
    find_config,
    load_config,
)
from edgecount.train.data.assemble import load_held_out
from edgecount.train.data.needs import KEYS_OF_RESUMED, check_needs, needs_of
from edgecount.train.data.origins import ORIGINS
from edgecount.train.models.pretrained import published_as

WHOLE = {
    "model": "mcnn",
    "data": [
        {"reader": "shanghaitech", "path": "sha", "holdout": 0.5},
        {"reader": "mall", "path": "mall", "holdout": 0.5},
        {"reader": "mall", "path": "mall", "weight": 0.5},
        {"reader": "csv", "path": "mine.csv"},
        {"reader": "blank", "weight": 0.1},
        {"reader": "scenes", "weight": 0.1, "number": 2},
    ],
    "backbone_weights": "vgg16.pth",
    "initial_weights": "raznet.pt",
    "prune_from": "wide.pt",
    "teacher": {"checkpoint": "teacher.pt"},
}


def config(root: object, **changes: object) -> TrainConfig:
    return config_from_dict({**WHOLE, "data_root": str(root), **changes})


def test_everything_that_is_missing_is_one_error(tmp_path):
    (tmp_path / "wide.pt").touch()
    with pytest.raises(SourceError) as caught:
        check_needs(config(tmp_path))
    head, *lines = str(caught.value).splitlines()
    assert head == "6 sets and files of weights of the config are not here:"
    assert [line.strip() for line in lines] == list(caught.value.details)
    assert [line.split(": ")[0] for line in caught.value.details] == [
        *("data", "data", "data"),
        *("backbone_weights", "initial_weights", "teacher.checkpoint"),
    ]
    sha, mall, mine, backbone, start, teacher = caught.value.details
    assert sha == f"data: there is no set {tmp_path / 'sha'}: {ORIGINS['shanghaitech']}"
    assert mall == f"data: there is no set {tmp_path / 'mall'}: {ORIGINS['mall']}"
    assert mine.endswith("mine.csv: name another folder of data: `changes=data_root=FOLDER`")
    assert "Put torchvision's vgg16-397923af.pth there" in backbone
    assert "train the config raznet first and name its best.pt" in start
    assert "name another (`changes=teacher.checkpoint=PATH`" in teacher


def test_what_is_here_is_no_error(tmp_path):
    for name in ("sha", "mall"):
        (tmp_path / name).mkdir()
    for name in ("mine.csv", "vgg16.pth", "raznet.pt", "wide.pt", "teacher.pt"):
        (tmp_path / name).touch()
    check_needs(config(tmp_path))
    assert all(need.here for need in needs_of(config(tmp_path)))


def test_missing_weights_alone_are_a_models_error(tmp_path):
    sets = [{"reader": "blank"}]
    with pytest.raises(ModelError, match="3 sets and files of weights") as caught:
        check_needs(config(tmp_path, data=sets, initial_weights="edgecount-s"))
    assert len(caught.value.details) == 3  # a bundled model is here


def test_a_network_to_grow_from_is_a_need(tmp_path):
    alone = {"backbone_weights": "", "initial_weights": "", "prune_from": ""}
    sets = [{"reader": "blank"}]
    check_needs(config(tmp_path, data=sets, teacher={}, grow_from="edgecount-s", **alone))
    with pytest.raises(ModelError, match=r"^grow_from: there is no file .*slim\.pt"):
        check_needs(config(tmp_path, data=sets, teacher={}, grow_from="slim.pt", **alone))


def test_a_bundled_model_is_none_to_prune_from(tmp_path):
    alone = {"backbone_weights": "", "initial_weights": "", "teacher": {}}
    run = config(tmp_path, data=[{"reader": "blank"}], prune_from="edgecount-s", **alone)
    with pytest.raises(
        ModelError, match=r"prune_from: .*edgecount-s: expected a checkpoint of edg"
    ):
        check_needs(run)


def test_a_resumed_run_needs_no_start(tmp_path):
    with pytest.raises(SourceError) as caught:
        check_needs(config(tmp_path), KEYS_OF_RESUMED)
    heads = [line.split(": ")[0] for line in caught.value.details]
    assert heads == ["data", "data", "data", "teacher.checkpoint"]


def test_a_variable_that_is_not_set_is_told_with_what_is_searched_there(monkeypatch):
    monkeypatch.delenv("EDGECOUNT_DATA", raising=False)
    with pytest.raises(ConfigError, match="EDGECOUNT_DATA is not set in the environm") as caught:
        check_needs(config("$EDGECOUNT_DATA"))
    assert "data: there is no set $EDGECOUNT_DATA/sha: ShanghaiTech is at" in str(caught.value)
    assert len(caught.value.details) == 7
    check_needs(config("$EDGECOUNT_DATA", data=[{"reader": "blank"}]), ["data"])


def test_missing_sets_of_a_finished_run_are_one_error(tmp_path):
    with pytest.raises(SourceError) as caught:
        load_held_out(config(tmp_path), tmp_path)
    assert [line.split(": ")[1] for line in caught.value.details] == [
        f"there is no set {tmp_path / name}" for name in ("sha", "mall")
    ]


def test_the_command_prints_a_line_for_each(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECOUNT_DATA", str(tmp_path))
    command = ["train", "cannet-sha", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(cli, command, prog_name="edgecount")
    assert (result.exit_code, result.stdout) == (1, "")
    head, *lines = result.stderr.splitlines()
    assert head == "edgecount: error: 2 sets and files of weights of the config are not here:"
    assert lines[0].startswith(f"  data: there is no set {tmp_path / 'shanghaitech'}/part_A/train")
    assert lines[1].startswith(f"  backbone_weights: there is no file {tmp_path / 'backbones'}")
    assert lines[1].endswith(": --set backbone_weights=")
    assert len(lines) == 2
    assert not (tmp_path / "run").exists()


def test_a_missing_backbone_is_told_with_its_file(tmp_path):
    names = {load_config(path).backbone_weights for path in bundled_configs().values()}
    for name in names - {""}:
        given = {"model": "mcnn", "data": [{"reader": "blank"}], "data_root": str(tmp_path)}
        with pytest.raises(ModelError) as caught:
            check_needs(config_from_dict({**given, "backbone_weights": name}))
        message = str(caught.value)
        assert message.startswith(f"backbone_weights: there is no file {tmp_path / name}: ")
        assert f"Put {published_as(Path(name))} there" in message
        assert "with torchvision's names" not in message  # a file that nobody knows
        assert "\n" not in message


def test_a_pattern_of_weights_is_found(tmp_path):
    given = {"model": "mcnn", "data": [{"reader": "blank"}], "data_root": str(tmp_path)}
    run = config_from_dict({**given, "backbone_weights": "lite0_*.npz"})
    with pytest.raises(ModelError, match="there is no file"):
        check_needs(run)
    (tmp_path / "lite0_1.npz").touch()
    check_needs(run)


def test_weights_of_an_earlier_config_are_asked_for_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "shanghaitech" / "part_A" / "train").mkdir(parents=True)
    (tmp_path / "backbones").mkdir()
    (tmp_path / "backbones" / "vgg16.pth").touch()
    monkeypatch.setenv("EDGECOUNT_DATA", str(tmp_path))
    with pytest.raises(ModelError, match="train the config raznet-counting first and name its"):
        check_needs(load_config(find_config(Path("raznet"))))
