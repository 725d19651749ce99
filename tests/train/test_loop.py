"""Runs of a few steps: they learn, stop and go on."""

import dataclasses
import json
import signal
import subprocess
import sys
from contextlib import closing

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
yaml = pytest.importorskip("yaml")

from edgecount.errors import ConfigError, ModelError, OutputError  # noqa: E402
from edgecount.models import model_path  # noqa: E402
from edgecount.train import loop  # noqa: E402
from edgecount.train.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.data.assemble import load_held_out  # noqa: E402
from edgecount.train.journal import Journal  # noqa: E402
from edgecount.train.models.weights import read_arrays  # noqa: E402
from edgecount.train.open_trainable import open_trainable  # noqa: E402


def same_weights(one, other):
    for name, weight in one["ema"].items():
        torch.testing.assert_close(other["ema"][name], weight, rtol=0, atol=0)


def test_a_resumed_run_ends_where_the_uninterrupted_one_does(config, tmp_path):
    whole = load_checkpoint(loop.train(config, tmp_path / "whole"))

    class StoppedError(Exception):
        pass

    def stop(record):
        if record["step"] == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        loop.train(config, tmp_path / "parts", report=stop)
    assert load_checkpoint(tmp_path / "parts" / "last.pt")["step"] == 2
    resumed = load_checkpoint(loop.train(config, tmp_path / "parts", resume=True))
    assert resumed["step"] == whole["step"] == 6
    same_weights(whole, resumed)
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6]


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_curve(settings, tmp_path):
    settings["steps"] = 12
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    whole = loop.train(config_from_dict(settings), tmp_path / "whole")
    command = [sys.executable, "-m", "edgecount", "train", str(path)]
    # As many threads as this process has: two add in another order than one.
    command += ["--out", str(tmp_path / "killed"), "--threads", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("step 6"):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    before = load_checkpoint(tmp_path / "killed" / "last.pt")["step"]
    assert 4 <= before < 12
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    same_weights(load_checkpoint(whole), load_checkpoint(tmp_path / "killed" / "last.pt"))

    def losses(name):
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        found = {}
        for record in map(json.loads, lines):
            record.pop("seconds_per_step")
            assert found.setdefault(record["step"], record) == record
        return found

    assert losses("killed").keys() == losses("whole").keys()
    assert losses("killed") == losses("whole")


def test_the_best_weights_are_kept_and_reported(settings, tmp_path):
    settings |= {"steps": 4, "evaluate_every": 2, "early_stop": 5, "tensorboard": True}
    settings["data"][0]["holdout"] = 0.5
    config = config_from_dict(settings)
    best = loop.train(config, tmp_path / "run")
    assert best == tmp_path / "run" / "best.pt"
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    validations = [line for line in lines if "validation" in line]
    assert [line["validation"] for line in validations] == ["part_X", "part_X"]
    least = min(validations, key=lambda line: line["mae"])
    state = load_checkpoint(best)
    assert state["step"] == least["step"]
    assert 0 < state["postprocess"]["threshold"] < 1
    assert (tmp_path / "run" / "report" / "report.html").stat().st_size > 10_000
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


def test_an_error_that_is_not_defined_is_no_number_of_the_log(config, tmp_path):
    """The NAE of held-out images without people."""
    errors = {"mae": 1.0, "nae": None}
    board = dataclasses.replace(config, tensorboard=True)
    with closing(Journal(tmp_path, board, None, active=True)) as journal:
        journal.validation(2, "nobody", errors)
    assert json.loads(journal.path.read_text()) == {"step": 2, "validation": "nobody", **errors}


def test_a_run_without_progress_ends_early(settings, tmp_path, monkeypatch):
    settings |= {"steps": 20, "evaluate_every": 2, "early_stop": 2, "report": False}
    settings["data"][0]["holdout"] = 0.5
    errors = iter([3.0, 2.0, 2.5, 2.0, 9.0])

    def evaluate(network, samples, fabric, *, role, progress):
        return {"mae": next(errors), "rmse": 0.0, "bias": 0.0}

    monkeypatch.setattr(loop, "evaluate", evaluate)
    loop.train(config_from_dict(settings), tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] == 8
    assert load_checkpoint(tmp_path / "run" / "best.pt")["step"] == 4


def test_validation_is_limited_and_shows_its_progress(settings, tmp_path):
    settings["data"][0]["weight"] = 0
    settings |= {"steps": 2, "validation_images": 1, "report": False}
    seen = []
    loop.train(config_from_dict(settings), tmp_path, progress=lambda *done: seen.append(done))
    assert seen == [
        ("validation of part_X", 1, 1),
        ("threshold of best.pt", 1, 1),
        ("threshold of last.pt", 1, 1),
    ]
    settings["validation_images"] = 0
    everything = load_held_out(config_from_dict(settings), tmp_path)
    assert len(everything["part_X"]) == 2


def test_a_missing_backbone_says_how_to_go_without(config, tmp_path):
    start = dataclasses.replace(config, backbone_weights="none.pth")
    with pytest.raises(ModelError, match=r"none\.pth: .*torchvision.*`changes=backbone_weights=`"):
        loop.train(start, tmp_path)


def test_a_run_is_not_overwritten(config, tmp_path):
    loop.train(config, tmp_path / "run")
    with pytest.raises(OutputError, match="resume it, or choose another folder"):
        loop.train(config, tmp_path / "run")


def test_a_resumed_run_has_the_config_it_was_started_with(config, tmp_path):
    loop.train(config, tmp_path / "run")
    other = dataclasses.replace(config, learning_rate=0.5, crop=(96, 96), steps=8)
    with pytest.raises(ConfigError, match="crop, learning_rate differ"):
        loop.train(other, tmp_path / "run", resume=True)


def test_crops_must_fit_the_network(settings, tmp_path):
    settings["crop"] = 80
    with pytest.raises(ConfigError, match="crop: expected multiples of 32 for edgecount-n"):
        loop.train(config_from_dict(settings), tmp_path / "run")


def test_a_run_starts_from_the_weights_of_another_and_freezes_some(settings, tmp_path):
    first = loop.train(config_from_dict(settings), tmp_path / "first")
    settings |= {"initial_weights": str(first), "freeze": ["backbone"], "steps": 2, "ema": 0.0}
    second = load_checkpoint(loop.train(config_from_dict(settings), tmp_path / "second"))
    given = load_checkpoint(first)["ema"]
    name = "backbone.features.0.0.weight"
    torch.testing.assert_close(second["network"][name], given[name], rtol=0, atol=0)
    assert not torch.equal(second["network"]["density.1.weight"], given["density.1.weight"])
    settings["freeze"] = ["nothing"]
    with pytest.raises(ConfigError, match="freeze: no weight's name starts with 'nothing'"):
        loop.train(config_from_dict(settings), tmp_path / "third")


def test_a_run_starts_from_a_bundled_model_by_its_name(settings, tmp_path):
    settings |= {"initial_weights": "edgecount-n", "freeze": ["backbone"], "steps": 1, "ema": 0.0}
    settings["model"] = {"name": "edgecount-n", "folded": True}
    trained = load_checkpoint(loop.train(config_from_dict(settings), tmp_path / "run"))["network"]
    deployed = open_trainable("edgecount-n")[0].state_dict()
    name = "backbone.features.0.0.weight"
    torch.testing.assert_close(trained[name], deployed[name], rtol=0, atol=0)
    settings |= {"initial_weights": "edgecount-x"}
    with pytest.raises(ModelError, match=r"initial_weights: there is no file .*edgecount-x"):
        loop.train(config_from_dict(settings), tmp_path / "other")


def test_norms_are_frozen_at_the_averaged_statistics(settings, tmp_path):
    frozen = config_from_dict(settings | {"freeze_bn": 0.5, "log_every": 3})
    loop.train(dataclasses.replace(frozen, steps=3, freeze_bn=1.0), tmp_path / "first")
    loop.train(frozen, tmp_path / "whole")
    before = load_checkpoint(tmp_path / "first" / "last.pt")
    after = load_checkpoint(tmp_path / "whole" / "last.pt")
    # another length gives other learning rates, but the first steps' warm-up is the same
    names = [name for name in after["network"] if name.endswith("running_var")]
    assert names
    torch.testing.assert_close(
        {name: after["network"][name] for name in names},
        {name: before["ema"][name] for name in names},
    )
    weights = [name for name in after["network"] if name.endswith("weight")]
    assert any(not torch.equal(after["network"][n], before["network"][n]) for n in weights)


@pytest.mark.parametrize("older", [False, True])
def test_a_run_stopped_while_norms_are_frozen_goes_on_alike(settings, tmp_path, older):
    config = config_from_dict(settings | {"freeze_bn": 0.3})
    loop.train(config, tmp_path / "whole")
    stopped = dataclasses.replace(config, evaluate_every=4, steps=4, freeze_bn=0.45)
    # the same first steps: the warm-up's rates do not depend on the length
    loop.train(stopped, tmp_path / "stopped")
    state = load_checkpoint(tmp_path / "stopped" / "last.pt")
    assert state["bn_frozen"]
    state["config"] = config_to_dict(config)
    if older:  # the names of a checkpoint of older code
        state["resting"] = state.pop("bn_frozen")
        state["config"]["rest_norms"] = state["config"].pop("freeze_bn")
        state["config"]["looks"] = state["config"].pop("photometric")
    save_checkpoint(tmp_path / "stopped" / "last.pt", state)
    loop.train(config, tmp_path / "stopped", resume=True)
    whole, resumed = (load_checkpoint(tmp_path / n / "last.pt") for n in ("whole", "stopped"))
    names = [name for name in whole["network"] if "running" in name]
    assert names
    torch.testing.assert_close(
        {name: whole["network"][name] for name in names},
        {name: resumed["network"][name] for name in names},
    )


def test_a_shortened_run_freezes_norms_at_once(settings, tmp_path):
    config = config_from_dict(settings | {"freeze_bn": 0.9, "steps": 40, "evaluate_every": 40})
    first = dataclasses.replace(config, steps=4, freeze_bn=1.0)
    loop.train(first, tmp_path)
    state = load_checkpoint(tmp_path / "last.pt")
    assert not state["bn_frozen"]
    shorter = dataclasses.replace(config, steps=6, freeze_bn=0.5)
    state["config"] = config_to_dict(shorter)
    save_checkpoint(tmp_path / "last.pt", state)
    loop.train(shorter, tmp_path, resume=True)
    after = load_checkpoint(tmp_path / "last.pt")
    assert after["bn_frozen"]
    name = next(name for name in state["ema"] if name.endswith("running_var"))
    torch.testing.assert_close(after["network"][name], state["ema"][name])


def test_a_narrow_run_starts_from_the_channels_of_a_wide_one(settings, tmp_path):
    wide = config_from_dict(settings | {"steps": 2})
    loop.train(wide, tmp_path / "wide")
    small = settings["model"] | {"width": 0.2, "channels": 8}
    change = {"model": small, "prune_from": str(tmp_path / "wide" / "last.pt"), "steps": 1}
    loop.train(config_from_dict(settings | change), tmp_path / "narrow")
    given = load_checkpoint(tmp_path / "wide" / "last.pt")["ema"]["heatmap.weight"]
    taken = load_checkpoint(tmp_path / "narrow" / "last.pt")["network"]["heatmap.weight"]
    assert (taken - given).abs().max() < 2e-3  # one step away


def test_a_wide_run_starts_at_the_losses_of_a_narrow_one(settings, tmp_path):
    # Norms would see other statistics in a training step; without them the loss is the same.
    still = settings | {"steps": 1, "log_every": 1, "learning_rate": 1e-12}
    model = settings["model"] | {"folded": True, "width": 0.3}
    loop.train(config_from_dict(still | {"model": model}), tmp_path / "slim")
    wide = {"model": model | {"width": 0.5, "channels": 24}}
    wide["grow_from"] = str(tmp_path / "slim" / "last.pt")
    loop.train(config_from_dict(still | wide), tmp_path / "wide")
    slim, wide = (
        json.loads((tmp_path / run / "log.jsonl").read_text().splitlines()[0])
        for run in ("slim", "wide")
    )
    for name in ("blocks", "heatmap", "offset"):
        assert wide[name] == pytest.approx(slim[name], rel=1e-3)


def test_a_run_grows_from_a_bundled_model(settings, tmp_path):
    change = {"model": {"name": "edgecount-s", "folded": True}, "grow_from": "edgecount-n"}
    loop.train(config_from_dict(settings | change | {"steps": 1}), tmp_path)
    given = read_arrays(model_path("edgecount-n"))["heatmap.weight"]
    taken = load_checkpoint(tmp_path / "last.pt")["network"]["heatmap.weight"]
    assert (taken[:, : given.shape[1]] - given).abs().max() < 2e-3  # one step away
    assert taken[:, given.shape[1] :].abs().max() < 2e-3


def test_crops_cut_on_the_device_train_alike(config, tmp_path):
    quiet = dataclasses.replace(config.photometric, noise=0.0, jpeg=0.0)
    plain = dataclasses.replace(config, photometric=quiet)
    losses = []
    for loader in ("threads", "device"):
        changed = dataclasses.replace(plain, loader=loader)
        loop.train(changed, tmp_path / loader, device="cpu")
        lines = (tmp_path / loader / "log.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["blocks"] for line in lines if "blocks" in line])
    assert losses[0] == pytest.approx(losses[1], rel=0.1)
