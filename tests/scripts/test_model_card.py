"""`scripts/release/model_card.py`: the sections that a release fills, and what they promise."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")
pytest.importorskip("onnxscript")
pytest.importorskip("scipy")

from edgecount.errors import ConfigError, OutputError
from edgecount.manifest import IntervalSpec
from edgecount.train.evaluate.evaluation import Evaluation, ImageRecord

ROOT = Path(__file__).resolve().parents[2]
CARDS = sorted([*ROOT.glob("edgecount/models/*.md"), *ROOT.glob("releases/*.md")])
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


def test_a_card_that_is_no_text_is_refused(scripts, tmp_path):
    (tmp_path / "tiny.md").write_bytes(b"\xff")
    with pytest.raises(OutputError, match="cannot read the card"):
        scripts.release_model.read_card(tmp_path / "tiny.md")


def test_a_card_without_markers_is_left_alone_and_the_sections_printed(scripts, capsys):
    assert scripts.model_card.fill("text", {"measured": "numbers"}) == "text"
    scripts.release_model.report_missing(Path("tiny.md"), "text", {"measured": "numbers"})
    printed = capsys.readouterr().out
    assert "tiny.md has no markers" in printed
    assert "<!-- measured: begin -->\nnumbers\n<!-- measured: end -->" in printed


def test_filling_twice_gives_the_same(scripts, blank_card):
    once = scripts.model_card.fill(blank_card, {"measured": "numbers"})
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
    assert "| truth inside the interval: fitted / cross-fitted / as a new set (width) |" in text
    assert "| 2.5 | - | 0.90 | 0.90 / 0.60 / 0.72 | 67% / 50% / - |" in text
    assert "| - | - | - | - / - / - |\n| mean of the sets |  |" in text
    assert "|  | 67% / 50% / - |\n" in text
    assert scripts.release_model.compact(full) == {
        "images": 3,
        "mae": 2.25,
        "rmse": 3.5,
        "bias": -1.5,
        "f1": 0.72,
        "coverage": 0.5,
    }


def test_no_point_can_be_right_where_nobody_is(scripts):
    levels = [{**SUMMARY["levels"][0], "highest": 0.0, "true": 0.0, "images": 3.0}]
    nobody = {**SUMMARY, "levels": levels, "points": dict.fromkeys(POINTS, 0.0)}
    text = scripts.model_card.measured_section({"nobody": nobody}, 0.0, "By hand.")
    assert "0.00 / 0.00 / 0.00" not in text
    assert "f1" not in scripts.release_model.compact(nobody)


def evaluation(rng: np.random.Generator, images: int, error: float) -> Evaluation:
    """Draw counts that are off by Laplace errors, of a density that is better than the points."""
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


def test_sets_left_out_are_measured_where_there_are_enough(scripts):
    rng = np.random.default_rng(1)
    sets = {
        name: evaluation(rng, 40, error) for name, error in zip("abcd", (4, 6, 8, 9), strict=True)
    }
    spec = IntervalSpec(0.9, below=2.0, above=2.0, floor=5.0, root=0.1, share=0.1, gap=0.1)
    summaries = scripts.release_model.summarise(sets, spec)
    overall = scripts.model_card.mean_coverage(summaries)
    assert 0.8 < overall["new_set_coverage"] <= 1.0
    assert 0.1 < overall["new_set_width"] < 1.0
    text = scripts.model_card.measured_section(summaries, 0.0, "By hand.")
    assert f" / {overall['new_set_coverage']:.0%} ({overall['new_set_width']:.0%}) |" in text
    kept = scripts.release_model.compact(summaries["a"])["coverage"]
    assert kept == round(summaries["a"]["interval"]["new_set_coverage"], 4)


def test_sets_that_a_new_interval_misses_are_said(scripts):
    def interval(share):
        return {"interval": {"coverage": 1.0, "cross_coverage": 0.99, "new_set_coverage": share}}

    fine = {"a": interval(0.9), "b": interval(0.92)}
    assert list(scripts.release_model.warnings(fine)) == []
    said = list(scripts.release_model.warnings({"a": interval(0.7), "b": interval(0.8)}))
    assert said[0] == "sets left out of the fit: coverage 75.0%, expected 85% to 95%"
    assert said[1].startswith("a: coverage 70.0% when left out of the fit, expected 75% or more")
    assert len(said) == 2


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


def test_there_is_no_nae_where_nobody_is(scripts):
    empty = {**SUMMARY, "count": {**SUMMARY["count"], "nae": None}}
    empty["levels"] = [{**level, "nae": None} for level in SUMMARY["levels"]]
    text = scripts.model_card.measured_section({"empty": empty}, 0.0, "By hand.")
    (row,) = [line for line in text.splitlines() if line.startswith("| empty (3) | ")][:1]
    assert row.split(" | ")[4] == "-"
    assert "None" not in text
