"""The charts of a report."""

import sys

import pytest

pytest.importorskip("scipy")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


from edgecount.errors import MissingExtraError
from edgecount.train.evaluate.evaluation import Evaluation, ImageRecord
from edgecount.train.report.charts import (
    _draw_series,
    curves,
    errors_by_level,
    level_name,
    scatter,
)
from edgecount.train.report.style import new_figure
from reported import LOG, NAMES


def test_the_curves_name_every_set(tmp_path):
    axes = new_figure(5, 3).add_subplot()
    _draw_series(axes, {name: {1: 2.0, 2: 1.0} for name in ["$5 to $6", *NAMES]})
    texts = axes.get_legend().get_texts()
    squares = "\N{WHITE SQUARE}\N{WHITE SQUARE}"
    assert [text.get_text() for text in texts[:4]] == ["$5 to $6", "a$x_{$b", "_hidden", "n\\xffm"]
    assert texts[4].get_text().startswith(f"{squares} ")
    assert texts[5].get_text() == "n" * 29 + "\N{HORIZONTAL ELLIPSIS}"
    assert not any(text.get_parse_math() for text in texts)


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        MissingExtraError, match=r"matplotlib is needed to draw.*edgecount\[train\]"
    ):
        curves(LOG)


def test_a_log_without_numbers_has_no_curves():
    assert curves([]) is None
    assert curves([{"step": 1, "loss": float("inf"), "seconds_per_step": 1.0}]) is None


def test_charts_are_pictures_whatever_the_counts(tmp_path):
    for counts in ([0], [1, 40, 2000]):
        records = [ImageRecord("x", tmp_path, true, 1.1 * true) for true in counts]
        for drawn in (scatter(Evaluation(records)), errors_by_level(Evaluation(records))):
            assert drawn.startswith(b"\x89PNG")


def test_a_level_is_named_by_its_range():
    assert level_name({"lowest": 3.0, "highest": 12.0}) == "3 to 12"
    assert level_name({"lowest": 3.0, "highest": 3.0}) == "3"
