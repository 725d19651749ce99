"""A recipe of two tiny stages: killed, resumed, measured, kept."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("scipy")
yaml = pytest.importorskip("yaml")
pytest.importorskip("matplotlib")

from click.testing import CliRunner  # noqa: E402

from edgecount.errors import ConfigError, EdgeCountError  # noqa: E402
from edgecount.train.checkpoint import load_checkpoint  # noqa: E402
from edgecount.train.relay.cli import relay  # noqa: E402
from edgecount.train.relay.deadline import Deadline  # noqa: E402
from edgecount.train.relay.run import go_on, only_one  # noqa: E402
from edgecount.train.relay.stages import find_stages, standing_of  # noqa: E402
from edgecount.train.relay.validation import open_counter  # noqa: E402

RECIPE = "tiny-relay"
PROGRAM = Path(__file__).resolve().parents[3] / "scripts" / "relay.py"


@pytest.fixture
def configs(settings, tmp_path):
    """Two stages of six and four steps on two pictures, one of which is held out."""
    folder = tmp_path / "configs"
    folder.mkdir()
    common = {
        **settings,
        "data": [{"reader": "shanghaitech", "path": "part_X", "holdout": 0.5, "native": 0.5}],
        "report": False,
        "evaluate_every": 100,
    }
    for number, steps in ((1, 6), (2, 4)):
        text = yaml.safe_dump({**common, "steps": steps})
        (folder / f"{RECIPE}-{number}.yaml").write_text(text)
    return folder


class After(Deadline):
    """A time that is up after so many stretches of steps."""

    def __init__(self, stretches):
        super().__init__()
        self.left = stretches

    def __call__(self):
        self.left -= 1
        return self.left < 0


def weights(stage):
    return load_checkpoint(stage.last)["ema"]


def run(*args):
    return CliRunner().invoke(relay, [str(arg) for arg in args])


def test_stages_that_were_stopped_end_as_those_that_were_not(configs, tmp_path):
    whole = find_stages(RECIPE, tmp_path / "whole", configs)
    assert go_on(whole, tmp_path / "results", Deadline())
    stopped = find_stages(RECIPE, tmp_path / "stopped", configs)
    said = []
    for _ in range(12):
        if go_on(stopped, tmp_path / "again", After(2), say=said.append):
            break
    assert "tiny-relay-1: stopped, the time is up; the same command goes on" in said
    for one, other in zip(whole, stopped, strict=True):
        torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=0)
    first, second = (weights(stage) for stage in whole)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_a_stage_starts_from_the_one_before_and_can_be_moved(configs, tmp_path):
    stages = find_stages(RECIPE, tmp_path / "runs", configs)
    go_on(stages, tmp_path / "results", After(6))
    begun = load_checkpoint(stages[1].last)["config"]["initial_weights"]
    assert begun == str(stages[0].last)
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    moved = find_stages(RECIPE, tmp_path / "elsewhere", configs)
    assert moved[1].settings().initial_weights == begun
    assert go_on(moved, tmp_path / "results", Deadline())


def test_a_stage_that_names_its_weights_starts_from_those(configs, tmp_path):
    stages = find_stages(RECIPE, tmp_path / "runs", configs)
    go_on(stages[:1], tmp_path / "results", Deadline())
    path = configs / f"{RECIPE}-2.yaml"
    named = {**yaml.safe_load(path.read_text()), "initial_weights": "elsewhere.pt"}
    path.write_text(yaml.safe_dump(named))
    second = find_stages(RECIPE, tmp_path / "runs", configs)[1]
    assert second.settings().initial_weights == "elsewhere.pt"


def test_what_a_finished_stage_leaves(configs, tmp_path):
    options = ("--runs", tmp_path / "runs", "--results", tmp_path / "results")
    options += ("--configs", configs)
    before = run("status", RECIPE, *options)
    assert "tiny-relay-1: not begun, 6 steps" in before.output
    assert "next: tiny-relay-1" in before.output
    started = run("start", RECIPE, "--minutes", 60, *options)
    assert started.exit_code == 0, started.output
    kept = tmp_path / "results" / "tiny-relay-2"
    assert {path.name for path in kept.iterdir()} == {
        "curves.png",
        "log.jsonl",
        "validation.json",
        "validation.md",
    }
    measured = json.loads((kept / "validation.json").read_text())
    row = measured["sets"]["part_X"]
    assert row["images"] == 1
    assert row["mae"] == pytest.approx(abs(row["bias"]))
    assert set(measured["distorted"]["part_X"]) >= {"native", "x0.7", "x1.03", "x1.4", "noise"}
    native = measured["distorted"]["part_X"]["native"]
    assert native == pytest.approx(1 + row["bias"] / row["people"])
    assert "part_X: 1, " in (kept / "validation.md").read_text()
    after = run("status", RECIPE, *options)
    assert "tiny-relay-2: done, 4 of 4 steps" in after.output
    assert "next: nothing, all is done" in after.output
    assert "all 2 stages are done" in run("start", RECIPE, *options).output


def test_a_killed_process_is_resumed(configs, tmp_path):
    """By SIGKILL while it trains, which nothing can catch."""
    stages = find_stages(RECIPE, tmp_path / "runs", configs)
    path = configs / f"{RECIPE}-1.yaml"
    settings = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**settings, "steps": 100_000}))
    command = [sys.executable, PROGRAM, "start", RECIPE]
    command += ["--runs", tmp_path / "runs", "--configs", configs, "--results", tmp_path / "kept"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(1200):
                if stages[0].last.exists() or process.poll() is not None:
                    break
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGKILL)
    reached = standing_of(stages[0]).step
    assert reached > 0
    path.write_text(yaml.safe_dump({**settings, "steps": reached + 2}))
    assert go_on(stages[:1], tmp_path / "kept", Deadline())
    assert standing_of(stages[0]).step == reached + 2


def test_status_of_a_stage_on_its_way(configs, tmp_path):
    stages = find_stages(RECIPE, tmp_path / "runs", configs)
    go_on(stages, tmp_path / "results", After(2))
    standing = standing_of(stages[0])
    assert (standing.step, standing.steps, standing.trained) == (4, 6, False)
    assert standing.seconds_left == pytest.approx(2 * standing.seconds_per_step)
    options = ("--runs", tmp_path / "runs", "--configs", configs)
    shown = run("status", RECIPE, "--results", tmp_path / "results", *options).output
    assert "tiny-relay-1: 4 of 6 steps, " in shown
    assert "learning rate" in shown


def test_a_stage_that_was_not_measured_in_time_is_measured_later(configs, tmp_path):
    stages = find_stages(RECIPE, tmp_path / "runs", configs)[:1]
    said = []
    assert not go_on(stages, tmp_path / "results", After(3), say=said.append)
    assert said[-1] == "tiny-relay-1: trained, the time is up; the same command measures it"
    step = standing_of(stages[0])
    assert step.trained
    assert go_on(stages, tmp_path / "results", Deadline(), say=said.append)
    assert standing_of(stages[0]) == step


def test_recipes_are_named(configs, tmp_path):
    with pytest.raises(ConfigError, match=r"huge-1\.yaml, .* got none; recipes there: tiny-relay$"):
        find_stages("huge", tmp_path, configs)
    (configs / f"{RECIPE}-1.yaml").rename(configs / f"{RECIPE}-3.yaml")
    with pytest.raises(ConfigError, match=r"got tiny-relay-2\.yaml, tiny-relay-3\.yaml"):
        find_stages(RECIPE, tmp_path, configs)


def test_a_recipe_holds_images_out(configs, tmp_path):
    path = configs / f"{RECIPE}-1.yaml"
    settings = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**settings, "data": [{"reader": "blank"}]}))
    with pytest.raises(ConfigError, match="expected a set with held-out images"):
        go_on(find_stages(RECIPE, tmp_path, configs), tmp_path, Deadline())


def test_two_relays_do_not_share_a_folder(tmp_path):
    with (
        only_one(tmp_path),
        pytest.raises(EdgeCountError, match="is running a relay in"),
        only_one(tmp_path),
    ):
        pass
    with only_one(tmp_path):  # it is free again
        pass


def test_a_relay_that_is_refused_leaves_no_folder(configs, tmp_path):
    path = configs / f"{RECIPE}-1.yaml"
    settings = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**settings, "data_root": str(tmp_path / "no data")}))
    runs = tmp_path / "runs" / "relay"
    stages = find_stages(RECIPE, runs, configs)
    with pytest.raises(EdgeCountError), only_one(runs):
        go_on(stages, tmp_path / "results", Deadline())
    assert not runs.parent.exists()


@pytest.mark.parametrize(
    ("models", "out", "message"),
    [
        (("edgecount-n", "no-model"), "all.json", "unknown model 'no-model'"),
        (("edgecount-n",), "text/all.json", "cannot write .*all.json"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(configs, tmp_path, models, out, message):
    (tmp_path / "text").write_text("no folder")
    config = configs / f"{RECIPE}-1.yaml"
    words = ["--config", config, "--distorted", 0, "--json", tmp_path / out]
    result = run("validate", *models, *words)
    assert result.exit_code == 1
    assert "measuring" not in result.stderr
    assert re.search(message, str(result.exception))


def test_each_model_is_opened_once(configs, monkeypatch):
    opened = []

    def opens(model, threads):
        opened.append(model)
        return open_counter(model, threads)

    monkeypatch.setattr("edgecount.train.relay.validation.open_counter", opens)
    words = ["--config", configs / f"{RECIPE}-1.yaml", "--distorted", 0]
    result = run("validate", "edgecount-n", "edgecount-s", *words)
    assert result.exit_code == 0, result.output
    assert opened == ["edgecount-n", "edgecount-s"]


def test_models_are_validated_side_by_side(configs, tmp_path):
    config = configs / f"{RECIPE}-1.yaml"
    words = ["--config", config, "--distorted", 0, "--json", tmp_path / "all.json"]
    result = run("validate", "edgecount-n", *words)
    assert result.exit_code == 0, result.output
    (report,) = json.loads((tmp_path / "all.json").read_text()).values()
    assert report["sets"]["part_X"]["images"] == 1
