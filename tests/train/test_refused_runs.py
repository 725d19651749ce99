"""A training that is refused before it begins leaves nothing that was not there before."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import (  # noqa: E402
    ConfigError,
    EdgeCountError,
    MissingExtraError,
    ModelError,
    OutputError,
)
from edgecount.train import loop  # noqa: E402
from edgecount.train.config import DataConfig, NamedOptions  # noqa: E402

SCENES = (DataConfig("scenes", number=1),)
# What is noticed before the sets are read, while they are, and after.
WRONG = {
    "network": {"model": NamedOptions("edgecount-x")},
    "crop": {"crop": (50, 50)},
    "weights": {"backbone_weights": "none.pth"},
    "set": {"data": (*SCENES, DataConfig("shanghaitech", path="nowhere"))},
    "excluded": {"data": (*SCENES, DataConfig("csv", path="heads.csv"))},
    "freeze": {"data": SCENES, "freeze": ("nothing",)},
}


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", WRONG)
def test_nothing_stays_of_a_new_folder(config, tmp_path, kind):
    (tmp_path / "heads.csv").write_text("no,columns\n")
    before = files(tmp_path)
    with pytest.raises(EdgeCountError):
        loop.train(dataclasses.replace(config, **WRONG[kind]), tmp_path / "runs" / "first")
    assert files(tmp_path) == before


@pytest.mark.parametrize("kind", WRONG)
def test_what_was_in_the_folder_stays(config, tmp_path, kind):
    (tmp_path / "heads.csv").write_text("no,columns\n")
    run = tmp_path / "run"
    (run / "scenes").mkdir(parents=True)
    (run / "scenes" / "mine.txt").touch()
    (run / ".lock").touch()
    (run / "notes.txt").touch()
    with pytest.raises(EdgeCountError):
        loop.train(dataclasses.replace(config, **WRONG[kind]), run)
    found = [name for name in files(run) if not name.startswith("scenes/scene_")]
    assert found == [".lock", "notes.txt", "scenes", "scenes/mine.txt"]


@pytest.mark.parametrize("package", ["jinja2", "matplotlib.figure"])
def test_a_report_without_its_packages_is_refused(config, tmp_path, monkeypatch, package):
    """Days later it would be too late."""
    monkeypatch.setitem(sys.modules, package, None)
    held_out = dataclasses.replace(config.data[0], holdout=0.5)
    with pytest.raises(MissingExtraError, match=f"{package.partition('.')[0]} is needed"):
        loop.train(dataclasses.replace(config, data=(held_out,)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_here(config, tmp_path):
    with pytest.raises(ConfigError, match="device: expected auto, cpu or cuda"):
        loop.train(config, tmp_path / "run", device="gpu")
    assert not (tmp_path / "run").exists()


def test_scenes_stay_for_whoever_interrupts(config, tmp_path, monkeypatch):
    """Rendering takes minutes, and the same command goes on with them."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "start_learner", interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.train(dataclasses.replace(config, data=SCENES), tmp_path / "run")
    assert len(files(tmp_path / "run")) == 3
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_run_that_began_keeps_its_folder(config, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise ModelError("in the middle")

    monkeypatch.setattr(loop, "train_steps", fail)
    with pytest.raises(ModelError, match="in the middle"):
        loop.train(config, tmp_path / "run")
    assert (tmp_path / "run" / ".lock").exists()


def test_a_folder_that_cannot_be_made(config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make the folder"):
        loop.train(config, tmp_path / "file" / "run")
    with pytest.raises(OutputError, match="cannot make the folder"):
        loop.train(config, tmp_path / "file")
    assert (tmp_path / "file").is_file()
