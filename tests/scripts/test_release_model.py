"""`scripts/release/release_model.py`: from a finished run to a model, its card and its pictures."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("onnxscript")
pytest.importorskip("scipy")

from edgecount import EdgeCounter  # noqa: E402
from edgecount.errors import ConfigError  # noqa: E402
from edgecount.runtime.models.open import open_model  # noqa: E402
from edgecount.scenes import render_scene  # noqa: E402
from edgecount.train.checkpoint import config_of, load_network  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.data.assemble import load_held_out  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.postprocess.fusion import fit_postprocess  # noqa: E402
from edgecount.train.postprocess.interval import CountedImage  # noqa: E402

STALE = 0.123  # no threshold that is ever tried


def small_scenes(hard: ModuleType) -> list:
    """Small ones, in place of those that take half a minute."""
    rng = np.random.default_rng(0)
    names = (("a", 5), ("b", 40), ("c", 0), ("d", 9), (hard.ORDINARY, 3))
    return [
        hard.HardScene(name, f"scene {name}", rng.integers(0, 256, (96, 128, 3), np.uint8), people)
        for name, people in names
    ]


def write_run(folder: Path, *, finished: bool = True, holdout: float = 0.5) -> Path:
    """Make a checkpoint of random weights, and the scenes that its run rendered."""
    options = {"width": 0.25, "channels": 16, "fine_channels": 8}
    config = {
        "model": {"name": "edgecount-n", **options},
        "data": [{"reader": "scenes", "number": 4, "holdout": holdout}, {"reader": "blank"}],
        "data_root": ".",
        "steps": 7,
    }
    (folder / "scenes").mkdir(parents=True)
    for index in range(4):
        scene = render_scene(3 * index, size=(128, 96), seed=index)
        path = folder / "scenes" / f"scene_{index}.png"
        cv2.imwrite(str(path), scene.image)
        np.savez(path.with_suffix(".npz"), points=scene.points, sizes=scene.sizes)
    torch.manual_seed(0)
    state = {
        "config": config_to_dict(config_from_dict(config)),
        "step": 7 if finished else 3,
        "ema": build_model("edgecount-n", options).state_dict(),
    }
    if finished:
        fusion = {"cell": 64, "low": 0.5, "high": 2.0}
        state["postprocess"] = {"window": 3, "threshold": STALE, "fusion": fusion}
    torch.save(state, folder / "last.pt")
    return folder / "last.pt"


@pytest.fixture(scope="module")
def released(scripts, blank_card, tmp_path_factory):
    """Make the folder of a release whose card and older file were there already."""
    folder = tmp_path_factory.mktemp("release")
    checkpoint = write_run(folder / "run")
    (folder / "tiny.md").write_text(blank_card)
    (folder / "pictures").mkdir()
    (folder / "pictures" / "c.jpg").write_bytes(b"of an earlier release")
    patch = pytest.MonkeyPatch()
    patch.setattr(scripts.hard_scenes, "hard_scenes", lambda: small_scenes(scripts.hard_scenes))
    patch.setattr(scripts.hard_scenes.SceneCount, "harm", property(lambda self: self.scene.people))
    try:
        scripts.release_model.main(arguments(checkpoint, folder))
    finally:
        patch.undo()
    return folder


def arguments(checkpoint: Path, folder: Path, *more: str) -> list[str]:
    words = [str(checkpoint), "--name", "tiny", "--version", "1.2.3", "--out", str(folder)]
    words += ["--pictures", str(folder / "pictures"), "--licence", "of tests"]
    return [*words, "--threads", "1", *more]


def test_the_manifest_has_name_version_licence_and_numbers(released):
    manifest = open_model(released / "tiny.onnx").manifest
    assert (manifest.name, manifest.version, manifest.licence) == ("tiny", "1.2.3", "of tests")
    metrics = manifest.training["metrics"]
    assert list(metrics) == ["scenes"]
    numbers = ["images", "mae", "rmse", "bias", "f1"]
    assert list(metrics["scenes"]) == [*numbers, "people", "title", "seen"]
    assert metrics["scenes"]["seen"] is True
    assert metrics["scenes"]["images"] == 2
    assert not list(released.glob("*.partial"))


def test_the_fit_is_of_this_version(scripts, released):
    checkpoint = released / "run" / "last.pt"
    network, state = load_network(checkpoint)
    assert state["postprocess"]["threshold"] == STALE
    samples = load_held_out(config_of(state), checkpoint.parent)
    expected = fit_postprocess(network, list(samples.values()))
    assert open_model(released / "tiny.onnx").manifest.postprocess == expected


def test_the_card_is_filled_between_its_markers_alone(scripts, released, blank_card):
    card = (released / "tiny.md").read_text()
    assert "old numbers" not in card
    outside = blank_card.replace("\nold numbers", "")
    for name in scripts.model_card.SECTIONS:
        start, stop = scripts.model_card.find_section(card, name)
        assert card[start:stop].count("\n") > 5
        card = f"{card[:start]}\n{card[stop:]}"
    assert card == outside


def test_the_card_says_what_was_measured(released):
    card = (released / "tiny.md").read_text()
    assert "| version | 1.2.3 |" in card
    assert "RUN/last.pt --name tiny --version 1.2.3`" in card
    assert "| scenes (2) |" in card
    assert str(released) not in card
    numbers = json.loads((released / "pictures" / "metrics.json").read_text())
    assert numbers["sets"]["scenes"]["count"]["images"] == 2
    assert str(released) not in json.dumps(numbers)


def test_pictures_of_the_worst_and_of_the_ordinary_scene(scripts, released):
    found = {path.name for path in (released / "pictures").glob("*.jpg")}
    assert found == {"b.jpg", "d.jpg", "a.jpg", "ordinary.jpg"}
    card = (released / "tiny.md").read_text()
    links = [line for line in card.split("\n") if line.startswith("![")]
    shown = [line.rpartition("/")[2].rstrip(")") for line in links]
    assert shown == ["b.jpg", "d.jpg", "a.jpg", "ordinary.jpg"]
    assert all("](pictures/" in line for line in links)
    assert "Scene b: 40 people, counted" in links[0]


def test_an_unfinished_run_is_refused_unless_asked_for(scripts, tmp_path):
    checkpoint = write_run(tmp_path / "run", finished=False)
    with pytest.raises(SystemExit, match=r"unfinished run \(step 3 of 7\).*--unfinished"):
        scripts.release_model.main(arguments(checkpoint, tmp_path))
    assert not (tmp_path / "tiny.onnx").exists()
    _, state = scripts.draft.load_finished(checkpoint, unfinished=True)
    assert scripts.draft.unfinished_note(state) == " **Unfinished: step 3 of 7.**"


def test_a_run_that_older_code_ended_without_a_fit_is_finished(scripts, tmp_path):
    checkpoint = write_run(tmp_path / "run", finished=False)
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "step": 7}, checkpoint)
    _, state = scripts.draft.load_finished(checkpoint, unfinished=False)
    assert scripts.draft.unfinished_note(state) == ""


def test_a_licence_is_asked_for_where_none_can_be_taken_over(scripts, released, tmp_path):
    licence_of = scripts.release_model.licence_of
    assert licence_of(None, released / "tiny.onnx") == "of tests"
    assert licence_of(" new ", released / "tiny.onnx") == "new"
    for given in (None, " "):
        with pytest.raises(ConfigError, match=r"--licence: expected the terms.*there is no"):
            licence_of(given, tmp_path / "tiny.onnx")


def test_what_cannot_be_written_is_one_line_and_the_model_stays(
    scripts, released, blank_card, tmp_path, monkeypatch
):
    release = scripts.release_model
    (tmp_path / "tiny.onnx").write_bytes(b"of an earlier release")
    (tmp_path / "tiny.md").write_text(blank_card)
    (tmp_path / "pictures" / "metrics.json").mkdir(parents=True)
    # the measuring itself was tried elsewhere
    model = (released / "tiny.onnx").read_bytes()
    monkeypatch.setattr(
        scripts.draft, "export_onnx", lambda _network, _, path: path.write_bytes(model)
    )
    monkeypatch.setattr(release, "measure", lambda *_: {})
    monkeypatch.setattr(release, "try_frames", lambda *_: (0.0, []))
    with pytest.raises(SystemExit, match=r"^edgecount: error: cannot write .*metrics\.json: \w"):
        release.main(arguments(released / "run" / "last.pt", tmp_path))
    assert (tmp_path / "tiny.onnx").read_bytes() == b"of an earlier release"
    assert (tmp_path / "tiny.md").read_text() == blank_card
    assert not list(tmp_path.rglob("*.partial"))


def test_a_run_that_holds_nothing_out_is_refused(scripts, tmp_path):
    checkpoint = write_run(tmp_path / "run", holdout=0.0)
    with pytest.raises(SystemExit, match="expected a set with held-out images"):
        scripts.release_model.main(arguments(checkpoint, tmp_path))


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("a/b", "1.0.0", "--name: expected small letters and digits, and single hyphens, dots or"),
        ("a--b", "1.0.0", "--name: expected"),
        ("a", "1.0", "--version: expected"),
        ("a", "1.0.0-", "--version: expected"),
        # what a pattern that can split these in many ways would not answer within the hour
        ("a" * 2000 + "!", "1.0.0", "--name: expected"),
        ("a", "1.0.0" + "1" * 2000 + "!", "--version: expected"),
        ("a", "1.0.0" + ".a" * 2000 + "!", "--version: expected"),
    ],
)
def test_odd_names_are_refused(scripts, name, version, message):
    for good in ("0.2.0", "10.20.30", "1.0.0rc1", "1.0.0-rc.1+build_5"):
        scripts.release_model.check_names("edgecount-s_2.1", good)
    with pytest.raises(ConfigError, match=message):
        scripts.release_model.check_names(name, version)


def test_the_card_says_where_its_pictures_are(scripts, released, tmp_path):
    with EdgeCounter(released / "tiny.onnx", backend="onnxruntime", threads=1) as counter:
        scene = small_scenes(scripts.hard_scenes)[1]
        trial = scripts.hard_scenes.SceneCount(scene, counter.count(scene.image))
    picture = tmp_path / "docs" / "cards" / "tiny" / "b.jpg"
    card = tmp_path / "edgecount" / "models" / "tiny.md"
    text = scripts.model_card.failures_section([trial], [picture], card, tmp_path)
    assert "in the repository's `docs/cards/tiny/`; an installed package has none" in text
    assert "](../../docs/cards/tiny/b.jpg)" in text
    elsewhere = scripts.model_card.failures_section([trial], [picture], card, tmp_path / "other")
    assert "repository" not in elsewhere


def test_a_released_model_is_measured_anew_with_the_interval_of_sets_left_out(
    scripts, released, blank_card, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        scripts.hard_scenes, "hard_scenes", lambda: small_scenes(scripts.hard_scenes)
    )
    rng = np.random.default_rng(2)
    places = {
        name: [
            [str(n), 20, round(20 + rng.laplace(0, error), 3), round(rng.normal(0, 2), 3)]
            for n in range(25)
        ]
        for name, error in (("hall", 2.0), ("park", 4.0), ("scenes", 6.0))
    }
    counts = tmp_path / "tiny.json"
    scripts.left_out.write_left_out(counts, "tiny", [{"steps": 7, "sets": places}])
    config = tmp_path / "tiny.yaml"
    config.write_text(
        "model: edgecount-n\ndata_root: .\ndata: [{reader: scenes, number: 4, holdout: 0.5}, "
        "{reader: blank}]\n"
    )
    older = released / "tiny.onnx"
    source = released / "run" / "tiny.onnx"  # beside the scenes that it was measured on
    source.write_bytes(older.read_bytes())
    (tmp_path / "tiny.md").write_text(blank_card)
    more = ["--config", str(config), "--left-out", str(counts)]
    scripts.release_model.main(arguments(source, tmp_path, *more))
    before, after = open_model(older).manifest, open_model(tmp_path / "tiny.onnx").manifest
    left_out = scripts.left_out.read_left_out(counts)
    assert after.postprocess.interval is not None
    assert after.postprocess.interval != before.postprocess.interval
    assert after.postprocess.threshold == before.postprocess.threshold
    assert after.postprocess.fusion == before.postprocess.fusion
    numbers = after.training["metrics"]["scenes"]
    assert numbers["mae"] == before.training["metrics"]["scenes"]["mae"]
    assert numbers["left_out_mae"] == pytest.approx(places_mae(places["scenes"]), abs=0.006)
    with EdgeCounter(tmp_path / "tiny.onnx") as counter:
        samples = load_held_out(scripts.draft.load_config(config), source.parent)["scenes"]
        found = [counter.count(sample.image()) for sample in samples]
    known = {
        "scenes": [
            CountedImage(one.count, one.density_count - one.peak_count, len(sample.points))
            for one, sample in zip(found, samples, strict=True)
        ]
    }
    assert after.postprocess.interval == scripts.left_out.fit_to_both(left_out, known)
    row = scripts.left_out.describe_left_out(left_out, known)["scenes"]
    assert numbers["coverage"] == pytest.approx(row["coverage"], abs=0.001)
    card = (tmp_path / "tiny.md").read_text()
    assert "| set left out | people each | MAE |" in card
    assert f"| hall (25) | 20 | **{places_mae(places['hall']):.1f}** |" in card
    assert "--config tiny --left-out tiny.json --name tiny --version 1.2.3`" in card
    assert "fitted / cross-fitted" not in card


def places_mae(images: list) -> float:
    """Return the mean absolute error of a set's lines."""
    return float(np.mean([abs(count - true) for _, true, count, _ in images]))


def test_a_released_model_needs_a_config_and_a_checkpoint_none(scripts, released, tmp_path):
    with pytest.raises(SystemExit, match="--config: expected the config that holds out images"):
        scripts.release_model.main(arguments(released / "tiny.onnx", tmp_path))
    checkpoint = released / "run" / "last.pt"
    with pytest.raises(SystemExit, match="--config: expected"):
        scripts.release_model.main(arguments(checkpoint, tmp_path, "--config", "edgecount-s"))
