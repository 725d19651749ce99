"""Runs of two processes: they learn what one does."""

import json
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
yaml = pytest.importorskip("yaml")

from edgecount.train import loop  # noqa: E402
from edgecount.train.checkpoint import load_checkpoint  # noqa: E402
from edgecount.train.config import config_from_dict  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "crop"), [("mcnn", 64), ("csrnet", 64), ({"name": "hsrnet", "width": 0.1}, "half")]
)
def test_two_processes_learn_what_one_does(model, crop, settings, tmp_path):
    # no batch norm in these: its statistics are those of each process's own crops
    settings |= {
        "model": model,
        "crop": crop,
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


@pytest.mark.slow
def test_two_processes_render_validate_and_resume(tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-port", "29613", "-m", "edgecount", "train", "tiny", "--device", "cpu"]
    launch += ["--threads", "1", "--out", str(tmp_path / "run"), "--set", "report=false"]
    launch += ["--set", "data.0.number=6", "--set", "evaluate_every=5", "--set", "log_every=5"]
    launch += ["--set", "freeze_bn=0.4"]
    for steps in (10, 20):
        options = ["--set", f"steps={steps}", "--resume"]
        done = subprocess.run([*launch, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] == steps
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert sum("validation" in line for line in lines) == 4
    state = load_checkpoint(tmp_path / "run" / "last.pt")
    assert state["bn_frozen"]
    for name, value in state["network"].items():
        if "running" in name:  # the averaged network has the same
            torch.testing.assert_close(value, state["ema"][name])
