"""Held-out images that are drawn, while the folder grows, shrinks and has copies."""

import logging
import shutil

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import ConfigError, ModelError
from edgecount.train.checkpoint import config_of, load_checkpoint, save_checkpoint
from edgecount.train.config import DataConfig, config_from_dict
from edgecount.train.data.assemble import load_data, load_held_out
from edgecount.train.data.drawn import draw, records_to_dict
from edgecount.train.data.readers import read_samples
from edgecount.train.data.splits import hold_out
from edgecount.train.learner import start_state
from edgecount.train.loop import train

ROWS = "image,x,y\n"


def write_pictures(folder, numbers, width=96):
    folder.mkdir(exist_ok=True)
    table = folder / "heads.csv"
    text = table.read_text() if table.exists() else ROWS
    for number in numbers:
        image = np.random.default_rng(number).integers(0, 255, (72, width, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number:04d}.png"), image)
        text += f"{number:04d}.png,40,30\n"
    table.write_text(text)


@pytest.fixture
def settings(tmp_path, settings):
    write_pictures(tmp_path / "mine", range(20))
    entry = {"reader": "csv", "path": "mine", "holdout": 0.25}
    return settings | {
        "data_root": str(tmp_path),
        "data": [entry],
        "steps": 2,
        "evaluate_every": 2,
        "report": False,
    }


def names(samples):
    return {sample.name for sample in samples}


def test_a_run_keeps_what_it_holds_out_while_its_folder_grows(settings, tmp_path, caplog):
    config = config_from_dict(settings)
    begun = names(load_data(config, tmp_path / "run").validation["mine"])
    assert len(begun) == 5
    train(config, tmp_path / "run", device="cpu")
    write_pictures(tmp_path / "mine", range(20, 26))
    for name in ("best.pt", "last.pt"):
        state = load_checkpoint(tmp_path / "run" / name)
        held = load_held_out(config_of(state), tmp_path / "run", state)["mine"]
        assert names(held) == begun
    assert (
        "mine: 6 images have come since the run began: none of them is held out, and a resumed run "
        "trains on them"
    ) in caplog.text
    longer = config_from_dict(settings | {"steps": 4, "evaluate_every": 4})
    train(longer, tmp_path / "run", device="cpu", resume=True)
    state = load_checkpoint(tmp_path / "run" / "last.pt")
    data = load_data(longer, tmp_path / "run", state)
    assert names(data.validation["mine"]) == begun
    assert len(data.components[0].samples) == 21


def test_data_can_be_moved_and_pictures_removed(settings, tmp_path, caplog):
    config = config_from_dict(settings)
    train(config, tmp_path / "run", device="cpu")
    state = load_checkpoint(tmp_path / "run" / "last.pt")
    begun = names(load_held_out(config, tmp_path / "run", state)["mine"])
    (tmp_path / "moved").mkdir()
    shutil.move(tmp_path / "mine", tmp_path / "moved" / "mine")
    gone = min(begun)
    table = tmp_path / "moved" / "mine" / "heads.csv"
    table.write_text(table.read_text().replace(f"{gone}.png,40,30\n", ""))
    moved = config_from_dict(settings | {"data_root": str(tmp_path / "moved")})
    assert names(load_held_out(moved, tmp_path / "run", state)["mine"]) == begun - {gone}
    assert f"1 of the 5 images that the run holds out is not there any more, first {gone}" in (
        caplog.text
    )


def test_one_image_that_has_come_is_told_as_one(settings, tmp_path, caplog):
    config = config_from_dict(settings)
    state = {"config": {}, "held_out": records_to_dict(load_data(config, tmp_path).drawn)}
    write_pictures(tmp_path / "mine", [20])
    load_data(config, tmp_path, state)
    (message,) = caplog.messages
    assert message == (
        "mine: 1 image has come since the run began: it is not held out, and a resumed run trains "
        "on it"
    )


def test_an_older_checkpoint_says_once_that_its_draw_may_have_changed(settings, tmp_path, caplog):
    older = {"config": {}}
    load_held_out(config_from_dict(settings), tmp_path, older)
    (message,) = caplog.messages
    assert message.startswith("mine: the checkpoint is of an older version")
    assert "some of the 5 held out now were trained on" in message
    caplog.clear()
    (tmp_path / "held.txt").write_text("0003\n")
    settings["data"] = [{"reader": "csv", "path": "mine", "split": str(tmp_path / "held.txt")}]
    load_held_out(config_from_dict(settings), tmp_path, older)
    assert not caplog.messages


def test_a_resumed_older_run_says_at_what_size_it_measures(settings, tmp_path, caplog):
    settings["data"][0]["enlarge"] = 2.0
    train(config_from_dict(settings), tmp_path / "run", device="cpu")
    path = tmp_path / "run" / "last.pt"
    state = load_checkpoint(path)
    more = config_from_dict(settings | {"steps": 3})
    told = "the images held out of mine are resized as those trained on (held_out_size: trained)"
    with caplog.at_level(logging.INFO):
        train(more, tmp_path / "run", device="cpu", resume=True)
        assert told not in caplog.text
        del state["held_out"], state["config"]["held_out_size"]
        save_checkpoint(path, state)
        train(more, tmp_path / "run", device="cpu", resume=True)
    assert caplog.text.count(told) == 1


def test_an_older_checkpoint_draws_as_it_did(settings, tmp_path):
    config = config_from_dict(settings)
    train(config, tmp_path / "run", device="cpu")
    path = tmp_path / "run" / "last.pt"
    state = load_checkpoint(path)
    del state["held_out"], state["config"]["held_out_size"]
    save_checkpoint(path, state)
    samples = read_samples("csv", tmp_path / "mine")
    expected = names(hold_out(samples, 5)[1])
    assert names(load_held_out(config_of(state), tmp_path / "run", state)["mine"]) == expected
    assert names(load_held_out(config, tmp_path / "run")["mine"]) != expected
    train(config_from_dict(settings | {"steps": 4}), tmp_path / "run", device="cpu", resume=True)
    for written in ("best.pt", "last.pt"):
        kept = load_checkpoint(tmp_path / "run" / written)["held_out"]["mine"]
        assert {file.removesuffix(".png") for file in kept["files"]} == expected


def test_the_record_is_added_to_best_weights_that_no_validation_replaces(settings, tmp_path):
    train(config_from_dict(settings), tmp_path / "run", device="cpu")
    best, last = (tmp_path / "run" / name for name in ("best.pt", "last.pt"))
    for path in (best, last):
        state = load_checkpoint(path)
        del state["held_out"], state["config"]["held_out_size"]
        save_checkpoint(path, state)
    more = config_from_dict(settings | {"steps": 3, "evaluate_every": 50, "early_stop": 1})
    train(more, tmp_path / "run", device="cpu", resume=True)
    assert load_checkpoint(best)["held_out"] == load_checkpoint(last)["held_out"]


def test_a_run_from_the_weights_of_another_holds_out_the_same(settings, tmp_path):
    config = config_from_dict(settings)
    train(config, tmp_path / "run", device="cpu")
    path = tmp_path / "run" / "last.pt"
    begun = names(load_held_out(config, tmp_path / "run")["mine"])
    write_pictures(tmp_path / "mine", range(20, 40))
    further = config_from_dict(settings | {"initial_weights": str(path)})
    state = start_state(further)
    assert names(load_data(further, tmp_path / "new", None, state).validation["mine"]) == begun
    del state["held_out"], state["config"]["held_out_size"]  # as of older code
    save_checkpoint(path, state)
    old = names(hold_out(read_samples("csv", tmp_path / "mine"), 10)[1])
    assert names(load_data(further, tmp_path / "new", None, state).validation["mine"]) == old
    train(further, tmp_path / "new", device="cpu")
    kept = load_checkpoint(tmp_path / "new" / "last.pt")["held_out"]["mine"]
    assert {file.removesuffix(".png") for file in kept["files"]} == old


def test_a_list_that_was_changed_changes_no_run(settings, tmp_path, caplog):
    listed = tmp_path / "held.txt"
    listed.write_text("0003\n0005\n")
    settings["data"] = [{"reader": "csv", "path": "mine", "split": str(listed)}]
    config = config_from_dict(settings)
    train(config, tmp_path / "run", device="cpu")
    state = load_checkpoint(tmp_path / "run" / "best.pt")
    assert names(load_held_out(config, tmp_path / "run", state)["held"]) == {"0003", "0005"}
    assert not caplog.records
    listed.write_text("0003\n0006\n")
    assert names(load_held_out(config, tmp_path / "run", state)["held"]) == {"0003", "0005"}
    assert "held: the list has changed: what it named when the run began is held" in caplog.text
    for change in (lambda: listed.write_text("0003\nabsent\n"), listed.unlink):
        change()
        caplog.clear()
        assert names(load_held_out(config, tmp_path / "run", state)["held"]) == {"0003", "0005"}
        assert "held: the list is gone, or names images that are not there" in caplog.text
    with pytest.raises(ConfigError, match="expected one of"):
        load_held_out(config, tmp_path / "run")


def test_a_record_of_nonsense_is_the_checkpoints_fault(settings, tmp_path):
    config = config_from_dict(settings)
    for record in ([3], {"mine": 3}, {"mine": {"files": 3, "images": 2}}):
        with pytest.raises(ModelError, match="the checkpoint's held_out"):
            load_held_out(config, tmp_path, {"held_out": record, "config": {}})


def test_a_new_draw_hardly_changes_with_the_folder(tmp_path):
    write_pictures(tmp_path / "mine", range(40))
    samples = read_samples("csv", tmp_path / "mine")
    entry = DataConfig("csv", holdout=0.25)
    trained, held = draw(samples, entry, tmp_path / "mine")
    assert (len(trained), len(held)) == (30, 10)
    assert names(draw(samples[::-1], entry, tmp_path / "mine")[1]) == names(held)
    fewer = [sample for sample in samples if sample.name not in ("0001", "0017", "0030", "0031")]
    again = names(draw(fewer, entry, tmp_path / "mine")[1])
    assert len(again) == 9
    assert len(again & names(held)) >= 7  # those of the order of files would be 2 of 9 by chance


@pytest.mark.parametrize("kind", [{"holdout": 0.25}, {"folds": 3, "fold": 2}])
def test_copies_are_on_one_side(tmp_path, caplog, kind):
    write_pictures(tmp_path / "mine", range(12))
    for number in range(12):
        shutil.copy(
            tmp_path / "mine" / f"{number:04d}.png", tmp_path / "mine" / f"export{number * 7}.png"
        )
    with (tmp_path / "mine" / "heads.csv").open("a") as file:
        file.writelines(f"export{number * 7}.png,40,30\n" for number in range(12))
    samples = read_samples("csv", tmp_path / "mine")
    with caplog.at_level(logging.INFO):
        trained, held = draw(samples, DataConfig("csv", **kind), tmp_path / "mine")
    assert "12 images are the same file as another" in caplog.text
    assert len(trained) + len(held) == 24
    assert 4 <= len(held) <= 12
    one, other = ({sample.path.read_bytes() for sample in part} for part in (trained, held))
    assert not one & other


def test_parts_without_copies_are_those_of_before(settings, tmp_path):
    settings["data"] = [{"reader": "csv", "path": "mine", "folds": 4, "fold": 3}]
    config = config_from_dict(settings)
    old = {"config": {}}  # as of older code
    now, before = (
        names(load_held_out(config, tmp_path, state)["mine-fold3"]) for state in (None, old)
    )
    assert now == before
    assert len(now) == 5


def test_what_is_held_out_has_the_size_that_a_deployed_model_sees(settings, tmp_path):
    settings["data"][0]["enlarge"] = 2.0
    for kind, width in (("deployed", 96), ("trained", 192)):
        config = config_from_dict(settings | {"held_out_size": kind})
        data = load_data(config, tmp_path)
        assert data.components[0].samples[0].image().shape[1] == 192
        assert data.validation["mine"][0].image().shape[1] == width
    older = load_data(config_from_dict(settings), tmp_path, {"config": {}})
    assert older.validation["mine"][0].image().shape[1] == 192
    settings["data"][0] |= {"enlarge": 1.0, "shrink": 0.5}
    data = load_data(config_from_dict(settings), tmp_path)
    assert data.components[0].samples[0].image().shape[1] == 48
    assert data.validation["mine"][0].image().shape[1] == 96
