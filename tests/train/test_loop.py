"""Runs of a few steps: they learn, stop, go on, and never harm what was saved."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import (  # noqa: E402
    ConfigError,
    EdgeCountError,
    ModelError,
    OutputError,
)
from edgecount.train import loop  # noqa: E402
from edgecount.train.checkpoint import (  # noqa: E402
    load_checkpoint,
    load_network,
    save_checkpoint,
)
from edgecount.train.config import config_from_dict  # noqa: E402
from edgecount.train.data.mixture import Mixture  # noqa: E402


@pytest.fixture
def config(shanghaitech, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 2)
    return config_from_dict(
        {
            "model": "edgecount-s",
            "data_root": str(shanghaitech.parent),
            "data": [
                {"reader": "shanghaitech", "path": "part_X"},
                {"reader": "blank", "weight": 0.3},
            ],
            "crop": 64,
            "batch_size": 2,
            "steps": 6,
            "warmup": 2,
            "evaluate_every": 6,
        }
    )


def test_a_resumed_run_ends_where_the_uninterrupted_one_does(config, tmp_path):
    whole = load_checkpoint(loop.train(config, tmp_path / "whole"))

    class KilledError(Exception):
        pass

    def kill(record):
        if record["step"] == 4:
            raise KilledError

    with pytest.raises(KilledError):
        loop.train(config, tmp_path / "parts", report=kill)
    assert load_checkpoint(tmp_path / "parts" / "last.pt")["step"] == 2
    resumed = load_checkpoint(loop.train(config, tmp_path / "parts", resume=True))
    assert resumed["step"] == whole["step"] == 6
    for name, weight in whole["ema"].items():
        torch.testing.assert_close(resumed["ema"][name], weight, rtol=0, atol=0)
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6]


def test_a_run_is_not_overwritten(config, tmp_path):
    loop.train(config, tmp_path / "run")
    with pytest.raises(OutputError, match="resume it, or choose another folder"):
        loop.train(config, tmp_path / "run")


def test_a_resumed_run_has_the_config_it_was_started_with(config, tmp_path):
    loop.train(config, tmp_path / "run")
    other = dataclasses.replace(config, learning_rate=0.5, crop=96, steps=8)
    with pytest.raises(ConfigError, match="crop, learning_rate differ"):
        loop.train(other, tmp_path / "run", resume=True)


def test_batches_depend_on_seed_and_step_alone(config, tmp_path):
    parts, _ = loop.load_data(config, tmp_path)
    mixture = Mixture(parts, crop=64, batch_size=2, seed=1)
    ahead = list(mixture.batches(3, 6))
    again = Mixture(parts, crop=64, batch_size=2, seed=1).batch(4)
    torch.testing.assert_close(ahead[1].images, again.images, rtol=0, atol=0)
    torch.testing.assert_close(ahead[1].counts, again.counts, rtol=0, atol=0)
    assert not torch.equal(ahead[0].images, ahead[1].images)


def test_errors_of_the_batch_thread_reach_the_run(config, shanghaitech, tmp_path):
    for path in (shanghaitech / "images").glob("*.jpg"):
        path.write_bytes(b"\xff\xd8 broken")
    with pytest.raises(EdgeCountError, match="IMG_"):
        loop.train(config, tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run(config, tmp_path, monkeypatch):
    parts, _ = loop.load_data(config, tmp_path)
    mixture = Mixture(parts, crop=64, batch_size=2, seed=1)
    learner = loop.make_learner(config, mixture, fresh=True)
    with torch.no_grad():
        learner.network.heatmap.bias.fill_(np.nan)
    with pytest.raises(EdgeCountError, match="step 0 is not finite"):
        loop.train_steps(learner, mixture.batches(0, 1), config)


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
