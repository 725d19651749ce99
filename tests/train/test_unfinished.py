"""Warnings of checkpoints whose threshold and blend nothing was fitted to, or other sizes."""

import pytest

pytest.importorskip("torch")

from click.testing import CliRunner

from edgecount.cli import cli
from edgecount.train.checkpoint import save_checkpoint
from edgecount.train.config import config_from_dict, config_to_dict
from edgecount.train.manifest import manifest_of, postprocess_to_dict
from edgecount.train.models import build_model
from edgecount.train.unfinished import tell_what_lacks

OPTIONS = {"width": 0.25, "channels": 16, "fine_channels": 8}


def state_of(entry, **more):
    network = {"name": "edgecount-n", **OPTIONS}
    config = config_from_dict({"model": network, "data": [{"reader": "scenes", **entry}]})
    weights = build_model("edgecount-n", OPTIONS).state_dict()
    return {"ema": weights, "config": config_to_dict(config), "step": 3, **more}


def told(state, path, caplog):
    caplog.clear()
    tell_what_lacks(path, state, manifest_of(build_model("edgecount-n", OPTIONS), state))
    return caplog.text


def test_defaults_are_named(tmp_path, caplog):
    text = told(state_of({"holdout": 0.5}), tmp_path / "best.pt", caplog)
    assert "best.pt: the threshold (0.4) and the blend (from 1 to 4) are defaults, counts" in text
    assert "the run has not come to its end: continue it with --resume" in text
    assert "the run holds no images out" in told(state_of({}), tmp_path / "best.pt", caplog)
    ended = state_of({"holdout": 0.5})
    ended["step"] = ended["config"]["steps"]
    assert "ended before they were fitted: --resume fits them" in told(ended, tmp_path, caplog)


def test_a_finished_run_is_told_of_sizes_alone(tmp_path, caplog):
    fitted = postprocess_to_dict(manifest_of(build_model("edgecount-n"), state_of({})).postprocess)
    state = state_of({"holdout": 0.5, "enlarge": 3.0}, postprocess=fitted)
    assert told(state, tmp_path, caplog) == ""
    del state["config"]["held_out_size"]  # as older runs have it, which measured them enlarged
    assert "images held out of scenes were resized as those trained on" in (
        told(state, tmp_path, caplog)
    )
    state = state_of({"holdout": 0.5}, postprocess=fitted)
    del state["config"]["held_out_size"]
    assert told(state, tmp_path, caplog) == ""


@pytest.mark.parametrize("command", ["export", "eval"])
def test_export_and_eval_say_so(tmp_path, command):
    pytest.importorskip("onnxruntime")
    save_checkpoint(tmp_path / "best.pt", state_of({"holdout": 0.5, "number": 2}))
    arguments = ["export", str(tmp_path / "best.pt"), "--out", str(tmp_path / "out")]
    if command == "eval":
        arguments = ["eval", str(tmp_path)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("the threshold (0.4) and the blend (from 1 to 4) are defaults") == 1
