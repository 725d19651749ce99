"""`edgecount eval` where something fails: refused before the work, or nothing measured is lost."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

pytest.importorskip("scipy")
pytest.importorskip("torch")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from edgecount.cli._eval.folds import mean_line, mean_of_folds
from edgecount.cli._eval.kernels import KernelsType
from edgecount.cli._eval.table import comparison
from edgecount.errors import BackendError, OutputError
from edgecount.train.evaluate import evaluation
from edgecount.train.targets.kernels import Kernels

Run = Callable[..., Result]


@pytest.fixture
def heads(files: Any) -> Path:
    """Write a set of a picture with two people and one with nobody."""
    files.image("set/two.png", 2)
    files.image("set/nobody.png", 0)
    (files.root / "set" / "heads.csv").write_text("two.png,20,20\ntwo.png,68,20\nnobody.png\n")
    folder: Path = files.root / "set"
    return folder


@pytest.fixture
def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where an image is counted."""

    def count(*_: object, **__: object) -> None:
        raise AssertionError("an image was counted")

    monkeypatch.setattr(evaluation, "evaluate_counter", count)


@pytest.mark.usefixtures("uncounted")
def test_a_report_that_cannot_be_written_is_refused_first(
    run: Run, tiny_model: Path, heads: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = run("eval", tiny_model, heads, "--reader", "csv", "--report", tmp_path / "file" / "r")
    assert result.exit_code == 1
    assert "file is no folder: choose another --report" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.usefixtures("uncounted")
def test_a_report_without_its_packages_is_refused_first(
    run: Run, tiny_model: Path, heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run("eval", tiny_model, heads, "--reader", "csv", "--report", tmp_path / "r")
    assert result.exit_code == 1
    assert 'pip install "edgecount[train]"' in result.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_the_numbers_are_printed_whatever_keeps_the_report_from_being_written(
    run: Run,
    tiny_model: Path,
    heads: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    def fill(*_: object) -> None:
        raise OutputError("cannot write report.html: No space left on device")

    monkeypatch.setattr("edgecount.train.report.write.write_whole", fill)
    command = ("eval", tiny_model, heads, "--reader", "csv", *options)
    result = run(*command, "--report", tmp_path / "r")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert result.stdout == run(*command).stdout


@pytest.mark.usefixtures("uncounted")
@pytest.mark.parametrize(
    ("name", "message"),
    [("nope", "unknown model 'nope'"), ("no.pt", "no.pt"), ("n.onnx", "n.onnx")],
)
def test_a_later_model_that_is_not_there_is_refused_first(
    run: Run, tiny_model: Path, heads: Path, name: str, message: str
) -> None:
    result = run("eval", tiny_model, name, heads, "--reader", "csv")
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("uncounted")
def test_a_later_model_that_does_not_fit_the_options_is_refused_first(
    run: Run, tiny_model: Path, make_model: Callable[..., Path], heads: Path
) -> None:
    density = make_model(roles=("density",))
    for option in ("--average-precision", "--zoom=1"):
        result = run("eval", tiny_model, density, heads, "--reader", "csv", option)
        assert result.exit_code == 2
        assert f"{option.partition('=')[0]}: expected a model with a heatmap" in result.stderr


def test_what_is_measured_before_a_model_fails_is_printed(
    run: Run,
    tiny_model: Path,
    make_model: Callable[..., Path],
    heads: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure, calls = evaluation.evaluate_counter, []

    def once(*given: object, **options: object) -> evaluation.Evaluation:
        calls.append(given)
        if len(calls) == 2:
            raise BackendError("the engine failed")
        return measure(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "evaluate_counter", once)
    result = run("eval", tiny_model, make_model(), heads, "--reader", "csv", "--json")
    assert result.exit_code == 1
    assert "the engine failed" in result.stderr
    (measured,) = json.loads(result.stdout)["models"].items()
    assert measured[0] == str(tiny_model)
    assert measured[1]["set"]["count"]["images"] == 2


def test_where_nobody_is_the_nae_is_a_dash_and_null(
    run: Run, tiny_model: Path, make_model: Callable[..., Path], heads: Path
) -> None:
    (heads / "two.png").unlink()
    (heads / "heads.csv").write_text("nobody.png\n")
    command = ("eval", tiny_model, heads, "--reader", "csv")
    values = json.loads(run(*command, "--json").stdout)
    assert values["count"]["nae"] is values["levels"][0]["nae"] is None
    lines = run(*command).stdout.splitlines()
    assert lines[2].split() == ["count", "0.00", "0.00", "-", "+0.00"]
    assert lines[-1].split() == ["0", "people", "1", "0.00", "-", "+0.00"]
    both = run("eval", tiny_model, make_model(), heads, "--reader", "csv").stdout.splitlines()
    assert both[1].split()[1:5] == ["1", "0.00", "0.00", "-"]
    assert len(both[0]) == len(both[1])


def test_folds_without_people_are_left_out_of_the_mean_nae() -> None:
    def fold(nae: float | None) -> dict[str, object]:
        return {"set": {"count": {"images": 2, "mae": 3.0, "rmse": 4.0, "nae": nae, "bias": 0.0}}}

    mean = mean_of_folds({"a": fold(0.25), "b": fold(None), "c": fold(0.75)})
    assert mean["nae"] == pytest.approx(0.5)
    assert mean["spread"]["nae"] == pytest.approx(0.125**0.5)
    none = mean_of_folds({"a": fold(None), "b": fold(None)})
    assert none["nae"] is none["spread"]["nae"] is None
    assert "NAE -   bias +0.00" in mean_line(none)
    assert " - " in list(comparison({"a": fold(None), "b": fold(None)}))[1]


@pytest.mark.parametrize("others", ["beta=0.3", "neighbours=3,max_sigma=0"])
def test_a_fixed_kernel_has_no_adaptive_ones_beside_it(
    others: str, run: Run, tiny_model: Path, heads: Path
) -> None:
    result = run("eval", tiny_model, heads, "--kernels", f"sigma=4,{others}")
    assert result.exit_code == 2
    named = ", ".join(part.partition("=")[0] for part in others.split(","))
    assert f"expected it alone, got {named} too" in result.stderr
    assert KernelsType().parse(f"sigma=0,{others}").sigma == 0
    assert KernelsType().parse("sigma=4") == Kernels(sigma=4)
