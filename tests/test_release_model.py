"""`scripts/release_model.py`: from a finished run to a model, its card and its pictures."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("onnxscript")
pytest.importorskip("scipy")

from edgecount import EdgeCounter  # noqa: E402
from edgecount.errors import ConfigError, OutputError  # noqa: E402
from edgecount.manifest import IntervalSpec  # noqa: E402
from edgecount.runtime.model_file import open_model  # noqa: E402
from edgecount.scenes import render_scene  # noqa: E402
from edgecount.train.checkpoint import load_network  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.evaluation import Evaluation, ImageRecord  # noqa: E402
from edgecount.train.fusion import fit_postprocess  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
CARDS = sorted([*ROOT.glob("edgecount/models/*.md"), *ROOT.glob("releases/*.md")])
STALE = 0.123  # no threshold that is ever tried
CARD = """# tiny

By hand, above.

<!-- facts: begin -->
<!-- facts: end -->
<!-- measured: begin -->
old numbers
<!-- measured: end -->

By hand, between.

<!-- failures: begin -->
<!-- failures: end -->

By hand, below.
"""
SUMMARY = {
    "count": {"images": 3.0, "mae": 2.25, "rmse": 3.5, "nae": 0.125, "bias": -1.5},
    "density_count": {"images": 3.0, "mae": 2.5, "rmse": 3.0, "nae": 0.1, "bias": 0.5},
    "levels": [
        {"lowest": 0.0, "highest": 4.0, "true": 2.0, "images": 2.0, "mae": 1.0, "nae": 0.5}
        | {"bias": -1.0},
        {"lowest": 20.0, "highest": 20.0, "true": 20.0, "images": 1.0, "mae": 4.75, "nae": 0.24}
        | {"bias": -2.5},
    ],
}
POINTS = {"precision": 0.9, "recall": 0.6, "f1": 0.72}


@pytest.fixture(scope="module")
def scripts() -> SimpleNamespace:
    """The three modules, imported as the program imports them."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(SCRIPTS))
    names = ("hard_scenes", "model_card", "release_model")
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in names:
            sys.modules.pop(name, None)


def small_scenes(hard: ModuleType) -> list:
    """Small ones, in place of those that take half a minute."""
    rng = np.random.default_rng(0)
    names = (("a", 5), ("b", 40), ("c", 0), ("d", 9), (hard.ORDINARY, 3))
    return [
        hard.HardScene(name, f"scene {name}", rng.integers(0, 256, (96, 128, 3), np.uint8), people)
        for name, people in names
    ]


def write_run(folder: Path, *, finished: bool = True, holdout: float = 0.5) -> Path:
    """A checkpoint of random weights, and the scenes that its run rendered."""
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
def released(scripts, tmp_path_factory):
    """The folder of a release whose card and older file were there already."""
    folder = tmp_path_factory.mktemp("release")
    checkpoint = write_run(folder / "run")
    (folder / "tiny.md").write_text(CARD)
    (folder / "pictures").mkdir()
    (folder / "pictures" / "c.jpg").write_bytes(b"of an earlier release")
    patch = pytest.MonkeyPatch()
    patch.setattr(scripts.hard_scenes, "hard_scenes", lambda: small_scenes(scripts.hard_scenes))
    patch.setattr(scripts.hard_scenes.Trial, "harm", property(lambda self: self.scene.people))
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
    assert list(metrics["scenes"]) == ["images", "mae", "rmse", "bias", "f1"]
    assert metrics["scenes"]["images"] == 2
    assert not list(released.glob("*.partial"))


def test_the_fit_is_of_this_version(scripts, released):
    checkpoint = released / "run" / "last.pt"
    network, state = load_network(checkpoint)
    assert state["postprocess"]["threshold"] == STALE
    samples = scripts.release_model.held_out(state, checkpoint.parent, None)
    expected = fit_postprocess(network, list(samples.values()))
    assert open_model(released / "tiny.onnx").manifest.postprocess == expected


def test_the_card_is_filled_between_its_markers_alone(scripts, released):
    card = (released / "tiny.md").read_text()
    assert "old numbers" not in card
    outside = CARD.replace("\nold numbers", "")
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


def test_a_picture_is_small(scripts):
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    data = scripts.hard_scenes._jpeg(smooth)
    assert len(data) <= scripts.hard_scenes.LARGEST
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (533, 800, 3)


def test_an_unfinished_run_is_refused_unless_asked_for(scripts, tmp_path):
    checkpoint = write_run(tmp_path / "run", finished=False)
    with pytest.raises(SystemExit, match=r"unfinished run \(step 3 of 7\).*--unfinished"):
        scripts.release_model.main(arguments(checkpoint, tmp_path))
    assert not (tmp_path / "tiny.onnx").exists()
    _, state = scripts.release_model.load_finished(checkpoint, unfinished=True)
    options = SimpleNamespace(checkpoint=checkpoint, name="tiny", version="1.2.3")
    assert "**Unfinished: step 3 of 7" in scripts.release_model.origin(options, state)


def test_a_run_that_older_code_ended_without_a_fit_is_finished(scripts, tmp_path):
    checkpoint = write_run(tmp_path / "run", finished=False)
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "step": 7}, checkpoint)
    _, state = scripts.release_model.load_finished(checkpoint, unfinished=False)
    options = SimpleNamespace(checkpoint=checkpoint, name="tiny", version="1.2.3")
    assert "Unfinished" not in scripts.release_model.origin(options, state)


def test_a_licence_is_asked_for_where_none_can_be_taken_over(scripts, released, tmp_path):
    licence_of = scripts.release_model.licence_of
    assert licence_of(None, released / "tiny.onnx") == "of tests"
    assert licence_of(" new ", released / "tiny.onnx") == "new"
    for given in (None, " "):
        with pytest.raises(ConfigError, match=r"--licence: expected the terms.*there is no"):
            licence_of(given, tmp_path / "tiny.onnx")


def test_what_cannot_be_written_is_one_line_and_the_model_stays(
    scripts, released, tmp_path, monkeypatch
):
    release = scripts.release_model
    (tmp_path / "tiny.onnx").write_bytes(b"of an earlier release")
    (tmp_path / "tiny.md").write_text(CARD)
    (tmp_path / "pictures" / "metrics.json").mkdir(parents=True)
    # the measuring itself was tried elsewhere
    model = (released / "tiny.onnx").read_bytes()
    monkeypatch.setattr(release, "export_onnx", lambda _network, _, path: path.write_bytes(model))
    monkeypatch.setattr(release, "measure", lambda *_: ({}, 0.0, []))
    with pytest.raises(SystemExit, match=r"^edgecount: error: cannot write .*metrics\.json: \w"):
        release.main(arguments(released / "run" / "last.pt", tmp_path))
    assert (tmp_path / "tiny.onnx").read_bytes() == b"of an earlier release"
    assert (tmp_path / "tiny.md").read_text() == CARD
    assert not list(tmp_path.rglob("*.partial"))


def test_a_card_that_is_no_text_is_refused(scripts, tmp_path):
    (tmp_path / "tiny.md").write_bytes(b"\xff")
    with pytest.raises(OutputError, match="cannot read the card"):
        scripts.release_model.read_card(tmp_path / "tiny.md")


def test_a_run_that_holds_nothing_out_is_refused(scripts, tmp_path):
    checkpoint = write_run(tmp_path / "run", holdout=0.0)
    with pytest.raises(SystemExit, match="holds no images out"):
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


@pytest.mark.parametrize(
    "text",
    [
        "<!-- measured: begin -->",
        "<!-- measured: end --><!-- measured: begin -->",
        "<!-- measured: begin -->" * 2 + "<!-- measured: end -->",
    ],
)
def test_broken_markers_are_said_before_the_work(scripts, tmp_path, text):
    card = tmp_path / "tiny.md"
    card.write_text(text)
    with pytest.raises(ConfigError, match="expected one <!-- measured: begin -->"):
        scripts.release_model.read_card(card)


def test_a_card_without_markers_is_left_alone_and_the_sections_printed(scripts, capsys):
    assert scripts.model_card.fill("text", {"measured": "numbers"}) == "text"
    scripts.release_model.report_missing(Path("tiny.md"), "text", {"measured": "numbers"})
    printed = capsys.readouterr().out
    assert "tiny.md has no markers" in printed
    assert "<!-- measured: begin -->\nnumbers\n<!-- measured: end -->" in printed


def test_filling_twice_gives_the_same(scripts):
    once = scripts.model_card.fill(CARD, {"measured": "numbers"})
    assert scripts.model_card.fill(once, {"measured": "numbers"}) == once


def test_the_tables_of_a_model_without_points(scripts):
    text = scripts.model_card.measured_section({"mine": SUMMARY}, 0.04, "By hand.")
    lines = text.split("\n")
    assert lines[0] == "By hand."
    assert lines[4] == "| mine (3) | 8 | **2.2** | 3.5 | 0.125 | -1.5 | 2.5 | - | - |"
    assert "| mine | 0 to 4 | 2 | 1.0 | 0.500 | -1.0 |" in lines
    assert "|  | 20 | 1 | 4.8 | 0.240 | -2.5 |" in lines
    assert lines[-1].endswith("at most 0.0 people.")
    assert "interval" not in text


def test_promises_are_columns_where_a_model_makes_them(scripts):
    interval = {"coverage": 0.667, "width": 0.4, "cross_coverage": 0.5}
    full = {**SUMMARY, "points": POINTS, "interval": interval, "blend": 0.9}
    text = scripts.model_card.measured_section({"mine": full, "other": SUMMARY}, 0.0, "By hand.")
    assert "| MAE of points alone | blend / better alone | points:" in text
    assert "| truth inside the interval: fitted / cross-fitted |" in text
    assert "| 2.5 | - | 0.90 | 0.90 / 0.60 / 0.72 | 67% / 50% |" in text
    assert "| - | - | - | - / - |\n| mean of the sets |  |" in text
    assert "|  | 67% / 50% |\n" in text
    assert scripts.release_model.compact(full) == {
        "images": 3,
        "mae": 2.25,
        "rmse": 3.5,
        "bias": -1.5,
        "f1": 0.72,
        "coverage": 0.5,
    }


def evaluation(rng: np.random.Generator, images: int, error: float) -> Evaluation:
    """Counts that are off by Laplace errors, of a density that is better than the points."""
    records = []
    for true in rng.integers(50, 150, images).tolist():
        count = true + rng.laplace(0, error)
        inside = (count - 3 * error, count + 3 * error)
        density, points = true + 0.5 * (count - true), true - 2 * round(count - true)
        records.append(
            ImageRecord(
                "", Path(), true, count, density, points, matched={"box": 0}, interval=inside
            )
        )
    return Evaluation(records)


def test_coverage_is_measured_on_images_that_the_fit_did_not_see(scripts):
    rng = np.random.default_rng(0)
    sets = {"a": evaluation(rng, 60, 5.0), "b": evaluation(rng, 40, 10.0)}
    spec = IntervalSpec(0.9, below=2.0, above=2.0, floor=5.0, root=0.1, share=0.1, gap=0.1)
    summaries = scripts.release_model.summarise(sets, spec)
    shares = [summary["interval"]["cross_coverage"] for summary in summaries.values()]
    assert all(0.7 < share <= 1.0 for share in shares)
    overall = scripts.model_card.mean_coverage(summaries)
    assert overall["cross_coverage"] == pytest.approx(np.mean(shares))
    # the blend's errors are twice those of the density
    assert [summary["blend"] for summary in summaries.values()] == pytest.approx([2.0, 2.0])
    few = scripts.release_model.summarise({"a": evaluation(rng, 20, 5.0)}, spec)
    assert "cross_coverage" not in few["a"]["interval"]
    assert scripts.model_card.mean_coverage({"mine": SUMMARY}) == {}


def test_broken_promises_are_said(scripts):
    good = {"interval": {"coverage": 0.5, "cross_coverage": 0.9}, "blend": 1.03}
    low = {"interval": {"coverage": 0.9, "cross_coverage": 0.84}}
    high = {"interval": {"coverage": 0.9, "cross_coverage": 0.96}}
    sets = {"good": good, "low": low, "high": high, "worse": {"blend": 1.04}, "plain": SUMMARY}
    said = list(scripts.release_model.warnings(sets))
    assert [line.partition(":")[0] for line in said] == ["low", "high", "worse"]
    assert "84.0%, expected 85% to 95%" in said[0]
    assert "1.040 times" in said[2]


def test_the_blend_is_held_against_the_better_of_the_two(scripts):
    ratio = scripts.release_model.over_better_alone
    counts = {key: {"mae": mae} for key, mae in (("count", 2.0), ("density_count", 4.0))}
    assert ratio(counts) is None
    assert ratio({**counts, "peak_count": {"mae": 1.0}}) == 2.0
    # a set without people leaves nothing to divide by
    assert ratio({**counts, "peak_count": {"mae": 0.0}}) == pytest.approx(20.0)


def test_the_card_says_where_its_pictures_are(scripts, released, tmp_path):
    with EdgeCounter(released / "tiny.onnx", backend="onnxruntime", threads=1) as counter:
        scene = small_scenes(scripts.hard_scenes)[1]
        trial = scripts.hard_scenes.Trial(scene, counter.count(scene.image))
    picture = tmp_path / "docs" / "cards" / "tiny" / "b.jpg"
    card = tmp_path / "edgecount" / "models" / "tiny.md"
    text = scripts.model_card.failures_section([trial], [picture], card, tmp_path)
    assert "in the repository's `docs/cards/tiny/`; an installed package has none" in text
    assert "](../../docs/cards/tiny/b.jpg)" in text
    elsewhere = scripts.model_card.failures_section([trial], [picture], card, tmp_path / "other")
    assert "repository" not in elsewhere


def test_a_head_more_or_less_among_few_is_no_large_error(scripts):
    trial = scripts.hard_scenes.Trial
    image = np.zeros((64, 64, 3), np.uint8)
    scene = scripts.hard_scenes.HardScene("empty", "nobody", image, 0)
    assert trial(scene, SimpleNamespace(count=1.0)).harm == pytest.approx(0.2)
    scene = scripts.hard_scenes.HardScene("many", "many", image, 100)
    assert trial(scene, SimpleNamespace(count=70.0)).harm == pytest.approx(0.3)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_can_be_filled_and_says_what_the_model_is_for(scripts, card):
    text = card.read_text(encoding="utf-8")
    assert all(scripts.model_card.find_section(text, name) for name in scripts.model_card.SECTIONS)
    assert "\n## Intended use\n" in text
    # a source distribution carries no pictures
    if (ROOT / "docs" / "cards").is_dir():
        for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
            assert (card.parent / path).stat().st_size <= scripts.hard_scenes.LARGEST


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_the_card_of_a_released_model_is_filled(scripts, card):
    if not card.with_suffix(".onnx").is_file():
        pytest.skip("no model lies beside this card")
    text = card.read_text(encoding="utf-8")
    places = [scripts.model_card.find_section(text, name) for name in scripts.model_card.SECTIONS]
    if not any(places):
        pytest.skip("this card has no generated sections")
    assert all(text[place[0] : place[1]].strip() for place in places if place)


@pytest.mark.slow
def test_the_hard_scenes_are_what_they_say(scripts):
    scenes = {scene.name: scene for scene in scripts.hard_scenes.hard_scenes()}
    assert scenes["ordinary"].people == scenes["grey-copy"].people == 60
    assert scenes["grey-copy"].image.ndim == 2
    assert scenes["empty-street"].people == 0
    assert scenes["dense-block"].people == 500
    assert scenes["large-heads"].people >= 5
