"""Runs of a few steps: they learn, stop, go on, and never harm what was saved."""

import dataclasses
import json
import signal
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
yaml = pytest.importorskip("yaml")

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
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.data.assemble import load_data  # noqa: E402
from edgecount.train.data.mixture import Cutting, Mixture  # noqa: E402
from edgecount.train.data.readers import read_samples  # noqa: E402
from edgecount.train.data.splits import hold_out  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402


@pytest.fixture
def settings(shanghaitech):
    return {
        "model": {"name": "edgecount-n", "width": 0.25, "channels": 16, "fine_channels": 8},
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
        "log_every": 2,
        "tensorboard": False,
    }


@pytest.fixture
def config(settings):
    return config_from_dict(settings)


def mixture_of(config, folder, **change):
    network = build_model(config.model.name, config.model.options)
    objective = build_objective("edge", {}, network)
    data = load_data(config, folder)
    cutting = Cutting(config.crop, config.batch_size, 1, network.input, **change)
    return Mixture(data.parts, cutting, objective.targets)


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
    command += ["--out", str(tmp_path / "killed")]
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

    # One thread pool or two add in another order.
    assert losses("killed").keys() == losses("whole").keys()
    assert losses("killed") == losses("whole")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mcnn", "csrnet"])
def test_two_processes_learn_what_one_does(model, settings, tmp_path):
    # no batch norm in these: its statistics are those of each process's own crops
    settings |= {
        "model": model,
        "objective": {"name": "density", "sigma": 4.0},
        "optimiser": "sgd",
        "learning_rate": 1.0e-4,
        "steps": 4,
        "data": settings["data"][:1],
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    loop.train(config_from_dict(settings), tmp_path / "one")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-port", "29611", "-m", "edgecount", "train", str(path)]
    out = ["--out", str(tmp_path / "two"), "--device", "cpu", "--threads", "1"]
    done = subprocess.run([*launch, *out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "two" / "last.pt")
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert [r["step"] for r in two] == [r["step"] for r in one] == [2, 4]
    for mine, theirs in zip(one, two, strict=True):
        assert theirs["density"] == pytest.approx(mine["density"], rel=1e-4)
    weights = load_checkpoint(tmp_path / "two" / "last.pt")["network"]
    for name, weight in load_checkpoint(tmp_path / "one" / "last.pt")["network"].items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-4, atol=1e-6)


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


def test_a_run_without_progress_ends_early(settings, tmp_path, monkeypatch):
    settings |= {"steps": 20, "evaluate_every": 2, "early_stop": 2, "report": False}
    settings["data"][0]["holdout"] = 0.5
    errors = iter([3.0, 2.0, 2.5, 2.0, 9.0])

    def evaluate(network, samples, fabric, *, role):
        return {"mae": next(errors), "rmse": 0.0, "bias": 0.0}

    monkeypatch.setattr(loop, "evaluate", evaluate)
    loop.train(config_from_dict(settings), tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] == 8
    assert load_checkpoint(tmp_path / "run" / "best.pt")["step"] == 4


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


def test_norms_rest_with_the_averaged_statistics(settings, tmp_path):
    resting = config_from_dict(settings | {"rest_norms": 0.5, "log_every": 3})
    loop.train(dataclasses.replace(resting, steps=3, rest_norms=1.0), tmp_path / "first")
    loop.train(resting, tmp_path / "whole")
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


def test_a_run_stopped_while_norms_rest_goes_on_alike(settings, tmp_path):
    config = config_from_dict(settings | {"rest_norms": 0.3})
    loop.train(config, tmp_path / "whole")
    stopped = dataclasses.replace(config, evaluate_every=4, steps=4, rest_norms=0.45)
    # the same first steps: the warm-up's rates do not depend on the length
    loop.train(stopped, tmp_path / "stopped")
    state = load_checkpoint(tmp_path / "stopped" / "last.pt")
    assert state["resting"]
    state["config"] = config_to_dict(config)
    save_checkpoint(tmp_path / "stopped" / "last.pt", state)
    loop.train(config, tmp_path / "stopped", resume=True)
    whole, resumed = (load_checkpoint(tmp_path / n / "last.pt") for n in ("whole", "stopped"))
    names = [name for name in whole["network"] if "running" in name]
    assert names
    torch.testing.assert_close(
        {name: whole["network"][name] for name in names},
        {name: resumed["network"][name] for name in names},
    )


def test_a_shortened_run_rests_at_once(settings, tmp_path):
    config = config_from_dict(settings | {"rest_norms": 0.9, "steps": 40, "evaluate_every": 40})
    first = dataclasses.replace(config, steps=4, rest_norms=1.0)
    loop.train(first, tmp_path)
    state = load_checkpoint(tmp_path / "last.pt")
    assert not state["resting"]
    shorter = dataclasses.replace(config, steps=6, rest_norms=0.5)
    state["config"] = config_to_dict(shorter)
    save_checkpoint(tmp_path / "last.pt", state)
    loop.train(shorter, tmp_path, resume=True)
    after = load_checkpoint(tmp_path / "last.pt")
    assert after["resting"]
    name = next(name for name in state["ema"] if name.endswith("running_var"))
    torch.testing.assert_close(after["network"][name], state["ema"][name])


def test_a_narrow_run_starts_from_a_wide_one(settings, tmp_path):
    wide = config_from_dict(settings | {"steps": 2})
    loop.train(wide, tmp_path / "wide")
    small = settings["model"] | {"width": 0.2, "channels": 8}
    change = {"model": small, "narrow_from": str(tmp_path / "wide" / "last.pt"), "steps": 1}
    loop.train(config_from_dict(settings | change), tmp_path / "narrow")
    given = load_checkpoint(tmp_path / "wide" / "last.pt")["ema"]["heatmap.weight"]
    taken = load_checkpoint(tmp_path / "narrow" / "last.pt")["network"]["heatmap.weight"]
    assert (taken - given).abs().max() < 2e-3  # one step away


def test_batches_depend_on_seed_and_step_alone(config, tmp_path):
    ahead = list(mixture_of(config, tmp_path, workers=3).batches(3, 6))
    again = mixture_of(config, tmp_path, cache_bytes=0).batch(4)
    torch.testing.assert_close(ahead[1].images, again.images, rtol=0, atol=0)
    torch.testing.assert_close(ahead[1].targets["counts"], again.targets["counts"])
    assert not torch.equal(ahead[0].images, ahead[1].images)


def test_pictures_of_nothing_hold_nobody(config, tmp_path):
    parts = load_data(config, tmp_path).parts
    for given in (parts, parts[1:]):  # with photos to blur, and without
        cutting = Cutting((32, 64), 40, seed=1)
        objective = build_objective("edge", {}, build_model("edgecount-n", {"width": 0.25}))
        mixture = Mixture(given, cutting, objective.targets)
        batch = mixture.batch(0)
        blank = [index for index, name in enumerate(batch.names) if name == "blank"]
        assert blank
        assert batch.images.shape == (40, 3, 32, 64)
        assert float(batch.targets["counts"][blank].abs().sum()) == 0.0


def test_processes_share_the_crops_of_a_batch(config, tmp_path):
    whole = mixture_of(config, tmp_path).batch(2)
    for rank in range(2):
        part = mixture_of(config, tmp_path, rank=rank, processes=2).batch(2)
        torch.testing.assert_close(part.images, whole.images[rank::2], rtol=0, atol=0)


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


def test_a_log_that_was_cut_off_is_mended_on_resume(config, tmp_path):
    loop.train(config, tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    with log.open("a") as file:
        file.write('{"step": 8, "blocks": 1.0}\n{"step": 10, "blo')
    loop.train(dataclasses.replace(config, steps=8), tmp_path / "run", resume=True)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4, 6, 8]
    assert records[-1]["blocks"] != 1.0


def test_the_same_file_at_two_sizes_is_two_images(settings, tmp_path):
    settings["data"] = [
        {"reader": "shanghaitech", "path": "part_X"},
        {"reader": "shanghaitech", "path": "part_X", "shrink": 0.5},
    ]
    mixture = mixture_of(config_from_dict(settings), tmp_path)
    whole, half = (mixture._cache.get(part.samples[0]).shape for part in mixture.parts)
    assert (whole, half) == ((96, 128, 3), (48, 64, 3))


def test_images_of_the_same_name_are_held_out_one_by_one(shanghaitech):
    samples = read_samples("shanghaitech", shanghaitech)
    twins = [dataclasses.replace(sample, name="twin") for sample in samples * 5]
    training, held = hold_out(twins, 3)
    assert (len(training), len(held)) == (7, 3)


@pytest.mark.slow
def test_two_processes_render_validate_and_resume(tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-port", "29613", "-m", "edgecount", "train", "tiny", "--device", "cpu"]
    launch += ["--threads", "1", "--out", str(tmp_path / "run"), "--set", "report=false"]
    launch += ["--set", "data.0.number=6", "--set", "evaluate_every=5", "--set", "log_every=5"]
    launch += ["--set", "rest_norms=0.4"]
    for steps in (10, 20):
        options = ["--set", f"steps={steps}", "--resume"]
        done = subprocess.run([*launch, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] == steps
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert sum("validation" in line for line in lines) == 4
    state = load_checkpoint(tmp_path / "run" / "last.pt")
    assert state["resting"]
    for name, value in state["network"].items():
        if "running" in name:  # the averaged network rests on the same
            torch.testing.assert_close(value, state["ema"][name])
