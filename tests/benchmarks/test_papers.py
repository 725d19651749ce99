"""The runner of the papers' experiments: runs are kept, resumed, and tabulated as they are."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from edgecount.train.relay.deadline import Deadline  # noqa: E402

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CONFIG = """
model: mcnn
objective: {name: density, sigma: 4.0}
data_root: {root}
data: [{reader: csv, path: crowd, holdout: 0.5, scale: [1.0, 1.0]}]
crop: 64
batch_size: 1
steps: 2
log_every: 1
evaluate_every: 2
report: false
tensorboard: false
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "paper_runs"]:
        del sys.modules[name]


@pytest.fixture
def experiment(tmp_path):
    from paper_runs.experiment import Experiment, Variant
    from paper_runs.measures import counts

    folder = tmp_path / "data" / "crowd"
    folder.mkdir(parents=True)
    lines = ["image,x,y"]
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((64, 64, 3), 60 * number, np.uint8))
        lines += [f"{number}.png,{10 * k + 5},20" for k in range(number + 1)]
    (folder / "points.csv").write_text("\n".join(lines) + "\n")
    config = tmp_path / "small.yaml"
    config.write_text(CONFIG.replace("{root}", str(tmp_path / "data")))
    return Experiment(
        name="small",
        title="A small experiment",
        config=str(config),
        variants={
            "one": Variant(("learning_rate=0.001",), {"": "11.1"}),
            "two": Variant(("learning_rate=0.0001",)),
        },
        measure=counts,
        columns={"MAE": "count.mae", "GAME(1)": "game.1"},
        seeds=(1, 2),
    )


def test_runs_go_seed_by_seed_and_can_be_chosen(experiment):
    from paper_runs.experiment import runs_of

    def names(only=""):
        return [run.name for run in runs_of((experiment,), only)]

    assert names() == [f"small/{v}/seed-{s}" for s in (1, 2) for v in ("one", "two")]
    assert names("small/two") == ["small/two/seed-1", "small/two/seed-2"]
    assert names("small/two/seed-2") == ["small/two/seed-2"]
    assert names("smal") == []


def test_runs_are_trained_measured_kept_and_tabulated(experiment, tmp_path):
    from paper_runs.experiment import runs_of
    from paper_runs.tables import write_tables
    from paper_runs.work import RESULT, work

    runs, folder, lines = list(runs_of((experiment,))), tmp_path / "runs", []
    assert work(runs[:3], folder, Deadline(), lines.append)
    assert [line for line in lines if "starting" in line] == [
        f"{r.name}: starting" for r in runs[:3]
    ]
    kept = [json.loads((folder / run.name / RESULT).read_text()) for run in runs[:3]]
    again: list[str] = []
    assert work(runs[:3], folder, Deadline(), again.append)
    assert again == []

    (page,) = write_tables((experiment,), folder, tmp_path)
    text = page.read_text()
    assert page.name == "papers-small.md"
    assert "3 of 4 runs are done" in text
    one, two = (line.split(" | ") for line in text.splitlines() if re.match(r"\| (one|two)", line))
    first, second = (kept[i]["measured"][""]["count"]["mae"] for i in (0, 2))
    digits = 3 if max(first, second) < 2 else 2
    spread = abs(first - second) / 2**0.5
    expected = f"{(first + second) / 2:.{digits}f} ± {spread:.{digits}f}"
    assert one[1] == f"{expected} ({first:.{digits}f}, {second:.{digits}f})"
    assert one[3:] == ["2", "11.1 |"]
    assert two[3:] == ["1", "- |"]


def test_another_machine_goes_on_from_the_results_that_were_kept(experiment, tmp_path):
    from paper_runs.experiment import runs_of
    from paper_runs.tables import write_tables
    from paper_runs.work import keep_results, read_result, work

    runs, here, there, results = list(runs_of((experiment,))), *(tmp_path / n for n in "abc")
    results.mkdir()
    assert work(runs[:2], here, Deadline(), lambda _: None, results)
    (path,) = keep_results(runs, here, results)
    assert path.name == "papers-small.json"
    assert [one["variant"] for one in json.loads(path.read_text())] == ["one", "two"]

    lines: list[str] = []
    assert work(runs[:3], there, Deadline(), lines.append, results)
    assert [line for line in lines if "starting" in line] == [f"{runs[2].name}: starting"]
    assert read_result(runs[0], there, results) == read_result(runs[0], here)
    assert read_result(runs[3], there, results) is None
    assert keep_results(runs, there, results) == [path]
    assert len(json.loads(path.read_text())) == 3
    (page,) = write_tables((experiment,), there, results)
    assert "3 of 4 runs are done" in page.read_text()


def test_runs_start_from_one_training_that_is_done_once(experiment, tmp_path):
    import dataclasses

    from edgecount.train.checkpoint import load_checkpoint
    from paper_runs.experiment import runs_of
    from paper_runs.tables import write_tables
    from paper_runs.work import read_result, work

    # At a rate of next to nothing a run keeps the weights that it starts from.
    still = {
        name: dataclasses.replace(variant, changes=("learning_rate=1e-12",))
        for name, variant in experiment.variants.items()
    }
    started = dataclasses.replace(experiment, start=("steps=1",), variants=still)
    runs, folder, lines = list(runs_of((started,))), tmp_path / "runs", []
    assert work(runs, folder, Deadline(), lines.append)
    assert [line for line in lines if "starting" in line] == [
        f"{name}: starting" for name in ("small/start", *(run.name for run in runs))
    ]
    first = load_checkpoint(folder / "small/start/last.pt")["network"]
    for run in runs:
        own = load_checkpoint(folder / run.name / "last.pt")["network"]
        assert all(value.allclose(own[name], atol=1e-9) for name, value in first.items())
    (page,) = write_tables((started,), folder, tmp_path)
    assert "one training, as far as they fit, with `steps=1`." in page.read_text()

    other = dataclasses.replace(started, start=("steps=2",))
    with pytest.raises(Exception, match="other settings"):
        read_result(next(runs_of((other,))), folder)


def test_a_run_stops_when_the_time_is_up_and_goes_on(experiment, tmp_path):
    from paper_runs.experiment import runs_of
    from paper_runs.work import read_result, work

    run, folder = next(runs_of((experiment,))), tmp_path / "runs"
    asked = iter([False, False, True])  # before the run, before each of its two steps
    lines: list[str] = []
    assert not work([run], folder, lambda: next(asked), lines.append)
    assert (folder / run.name / "last.pt").exists()
    assert read_result(run, folder) is None
    assert work([run], folder, Deadline(), lines.append)
    assert f"{run.name}: resuming" in lines
    whole = tmp_path / "whole"
    assert work([run], whole, Deadline(), lines.append)
    assert read_result(run, folder)["measured"] == read_result(run, whole)["measured"]


def test_a_run_that_fails_is_said_and_the_next_one_begun(experiment, tmp_path):
    import dataclasses

    from paper_runs.experiment import runs_of
    from paper_runs.work import read_result, work

    wrong = dataclasses.replace(experiment, name="wrong", config="no-such-config")
    runs, lines = list(runs_of((wrong, experiment), ""))[:3], []
    assert not work(runs, tmp_path / "runs", Deadline(), lines.append)
    assert "there is no config no-such-config" in lines[0]
    assert read_result(runs[2], tmp_path / "runs") is not None


def test_a_result_of_other_settings_is_not_taken(experiment, tmp_path):
    from edgecount.errors import ConfigError
    from paper_runs.experiment import runs_of
    from paper_runs.work import RESULT, read_result

    run = next(runs_of((experiment,)))
    path = tmp_path / run.name / RESULT
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"config": run.experiment.config, "changes": ["steps=9"]}))
    with pytest.raises(ConfigError, match="other settings"):
        read_result(run, tmp_path)


def test_a_result_of_a_config_that_has_changed_is_not_taken(experiment, tmp_path):
    from edgecount.errors import ConfigError
    from paper_runs.experiment import runs_of
    from paper_runs.work import RESULT, read_result, work

    run, folder = next(runs_of((experiment,))), tmp_path / "runs"
    assert work([run], folder, Deadline(), lambda _: None)
    config = Path(experiment.config)
    config.write_text(config.read_text().replace("sigma: 4.0", "sigma: 5.0"))
    with pytest.raises(ConfigError, match="other settings"):
        read_result(run, folder)
    path = folder / run.name / RESULT
    older = {key: value for key, value in json.loads(path.read_text()).items() if key != "settings"}
    path.write_text(json.dumps(older))
    assert read_result(run, folder) == older


def test_a_result_from_before_a_setting_was_there_is_taken_where_its_default_holds(
    experiment, tmp_path
):
    from edgecount.errors import ConfigError
    from paper_runs.experiment import runs_of
    from paper_runs.work import RESULT, read_result, work

    run, folder = next(runs_of((experiment,))), tmp_path / "runs"
    assert work([run], folder, Deadline(), lambda _: None)
    path = folder / run.name / RESULT
    older = json.loads(path.read_text())
    del older["settings"]["leave_out"]
    path.write_text(json.dumps(older))
    assert read_result(run, folder) == older
    config = Path(experiment.config)
    config.write_text(config.read_text() + "\nleave_out: [crowd]\n")
    with pytest.raises(ConfigError, match="other settings"):
        read_result(run, folder)


def test_every_experiment_of_the_catalogue_makes_sense():
    from paper_runs.catalogue import EXPERIMENTS
    from paper_runs.experiment import runs_of

    runs = list(runs_of(EXPERIMENTS))
    assert len({run.name for run in runs}) == len(runs)
    for run in runs:
        config = run.config()
        assert config.seed == run.seed
        assert not config.report
