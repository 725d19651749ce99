"""Runs that fail: they say why, and never harm what was saved."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import EdgeCountError, ModelError, OutputError  # noqa: E402
from edgecount.train import loop  # noqa: E402
from edgecount.train.checkpoint import load_checkpoint, load_network, save_checkpoint  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402


def test_errors_of_the_batch_thread_reach_the_run(config, shanghaitech, tmp_path):
    for path in (shanghaitech / "images").glob("*.jpg"):
        path.write_bytes(b"\xff\xd8 broken")
    with pytest.raises(EdgeCountError, match="IMG_"):
        loop.train(config, tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_images(config, tmp_path):
    loop.train(config, tmp_path / "run")
    state = load_checkpoint(tmp_path / "run" / "last.pt")
    state["network"]["density.1.bias"].fill_(np.nan)
    save_checkpoint(tmp_path / "run" / "last.pt", state)
    more = dataclasses.replace(config, steps=8)
    with pytest.raises(EdgeCountError, match=r"step 6 is not finite.*(IMG_\d\.jpg|blank)"):
        loop.train(more, tmp_path / "run", resume=True)


def test_a_gradient_that_is_not_finite_is_not_applied(config, tmp_path, monkeypatch):
    loop.train(config, tmp_path / "run")
    state = load_checkpoint(tmp_path / "run" / "last.pt")
    before = state["network"]["density.1.weight"].clone()
    losses = build_objective("edge", {}, build_model("edgecount-n", config.model.options)).losses

    def broken(self, maps, targets, progress):
        terms = losses(maps, targets, progress)
        return terms | {"broken": (maps.density * 0.0).sum().sqrt()}  # 0, with a slope of infinity

    monkeypatch.setattr("edgecount.train.objectives.edge.EdgeObjective.losses", broken)
    with pytest.raises(EdgeCountError, match="the gradient of step 6 is not finite"):
        loop.train(dataclasses.replace(config, steps=8), tmp_path / "run", resume=True)
    after = load_checkpoint(tmp_path / "run" / "last.pt")["network"]["density.1.weight"]
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"config": {}, "ema": {}, "step": 1})

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(path, {"config": {}, "ema": {}, "step": 2})
    monkeypatch.undo()
    assert load_checkpoint(path)["step"] == 1
    assert not list(tmp_path.glob("*.partial"))


def test_files_that_are_no_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        load_network(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        load_network(path)
    torch.save({"a": 1}, path)
    with pytest.raises(ModelError, match="is not a checkpoint"):
        load_network(path)


def test_a_log_that_was_cut_off_is_mended_on_resume(config, tmp_path):
    loop.train(config, tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    with log.open("a") as file:
        file.write('{"step": 8, "blocks": 1.0}\n{"step": 10, "blo')
    loop.train(dataclasses.replace(config, steps=8), tmp_path / "run", resume=True)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4, 6, 8]
    assert records[-1]["blocks"] != 1.0


def test_a_run_that_ends_while_it_is_fitted_is_fitted_when_resumed(config, tmp_path, monkeypatch):
    entry = dataclasses.replace(config.data[0], holdout=0.5)
    config = dataclasses.replace(config, data=(entry, *config.data[1:]), steps=2, evaluate_every=2)
    config = dataclasses.replace(config, report=False)
    best, last = (tmp_path / "run" / name for name in ("best.pt", "last.pt"))

    def killed(path, state):
        save_checkpoint(path, state)
        if "postprocess" in state:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        loop.train(config, tmp_path / "run")
    # last.pt tells whether a run is done
    assert ["postprocess" in load_checkpoint(path) for path in (best, last)] == [True, False]
    monkeypatch.setattr(loop, "save_checkpoint", save_checkpoint)
    loop.train(config, tmp_path / "run", resume=True)
    assert "postprocess" in load_checkpoint(last)
