"""Options that several commands share."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edgecount import EdgeCounter
from edgecount.analytics import Line
from edgecount.cli._types.options import (
    SideType,
    folder_option,
    new_file_option,
    number_option,
    refuse_existing,
)
from edgecount.errors import OutputError
from edgecount.watch.config import CameraConfig, WatchConfig
from edgecount.watch.service.engine import open_counter


@click.command()
@number_option("--steps", "Steps.", default=3, least=0, most=9)
@folder_option("--save", "folder")
@new_file_option("made.csv", "File to write.")
def shown(steps: int, folder: Path | None, out: Path, overwrite: bool) -> None:
    """Print what was typed."""
    click.echo(f"{steps} {folder} {out} {overwrite}")


def test_defaults() -> None:
    assert CliRunner().invoke(shown).output == "3 None made.csv False\n"
    text = CliRunner().invoke(shown, ["--help"]).output
    assert "[default: 3; 0<=x<=9]" in text
    assert "--save DIR" in text
    assert "[default: made.csv]" in text


def test_numbers_outside_the_limits_are_usage_errors() -> None:
    assert CliRunner().invoke(shown, ["--steps", "10"]).exit_code == 2


def test_every_path_knows_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shells leave ``--save=~/made`` as it is."""
    monkeypatch.setenv("HOME", "/home/somebody")
    output = CliRunner().invoke(shown, ["--save=~/made", "--out=~/a.csv", "--overwrite"]).output
    assert output == "3 /home/somebody/made /home/somebody/a.csv True\n"


def test_a_file_is_replaced_only_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "made.csv"
    refuse_existing(path, overwrite=False)
    path.touch()
    refuse_existing(path, overwrite=True)
    with pytest.raises(OutputError, match=r"made\.csv exists: .* --overwrite"):
        refuse_existing(path, overwrite=False)


def test_a_file_that_cannot_be_written_is_refused_with_its_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file is no folder: choose another --out"):
        refuse_existing(tmp_path / "file" / "made.csv", overwrite=True)


@pytest.mark.parametrize("word", ["640", "native", "model"])
def test_a_longer_side_is_a_number_or_a_word_that_the_api_and_a_config_take(word: str) -> None:
    side = SideType().convert(word, None, None)
    assert side == (640 if word == "640" else word)
    manifest = EdgeCounter(backend="fake").manifest
    expected = {"native": None, "model": manifest.input.max_side}.get(word, 640)
    assert EdgeCounter(backend="fake", max_side=side).max_side == expected
    camera = {"door": CameraConfig(0)}
    assert open_counter(WatchConfig(camera, backend="fake", max_side=side)).max_side == expected


@pytest.mark.parametrize("value", ["0", "none", "-5", "big"])
def test_another_longer_side_is_refused(run, value: str) -> None:
    result = run("count", "a.jpg", "--max-side", value)
    assert result.exit_code == 2
    assert "expected a number of pixels, 1 or more, native or model" in result.stderr


@pytest.mark.parametrize("command", ["adapt m d", "eval m d", "data check d", "train c --out o"])
def test_a_missing_package_names_its_extra(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecount.cli import cli

    for name in ("torch", "edgecount.train", "edgecount.train.data.readers"):
        monkeypatch.setitem(sys.modules, name, None)
    words = command.split() + ([] if command.startswith("train") else ["--reader", "csv"])
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 1
    assert 'run  pip install "edgecount[train]"' in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        "watch cam.mp4 --print-every",
        "watch cam.mp4 --rate",
        "count a.jpg --threshold",
        "export edgecount-n --out x --gate-fp16",
        "export edgecount-n --out x --gate-int8",
        "scenes write x --fps",
    ],
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_numbers_are_finite(run, words, value):
    result = run(*words.split(), value)
    assert result.exit_code == 2
    assert words.split()[-1] in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "words", ["count a.jpg", "watch cam", "eval m d", "data check d", "bench m", "label d"]
)
def test_a_name_of_no_backend_is_wrong_usage(run, words: str) -> None:
    result = run(*words.split(), "--backend", "onnxruntme")
    assert result.exit_code == 2
    told = "expected one of auto, tensorrt, "
    assert told in result.stderr
    assert "did you mean 'onnxruntime'?" in result.stderr
    assert "fake" not in result.stderr
    assert "fake" not in run(words.split(maxsplit=1)[0], "--help").stdout


@pytest.mark.parametrize(
    "words", ["count a.jpg --threads", "count a.jpg --workers", "export edgecount-n --threads"]
)
def test_more_threads_than_any_machine_has_are_refused(run, words):
    result = run(*words.split(), "100000")
    assert result.exit_code == 2
    assert "1<=x<=1024" in result.stderr
    assert "1<=x<=1024" in " ".join(run(words.split(maxsplit=1)[0], "--help").stdout.split())


@pytest.mark.parametrize("command", ["count", "watch"])
def test_the_direction_of_a_line_is_told_in_the_words_of_the_library(run, command):
    (told,) = (one.strip() for one in Line.__doc__.splitlines() if one.strip().startswith("Walk"))
    assert told in " ".join(run(command, "--help").stdout.split())
    page = Path(__file__).parents[2] / "docs"
    for name in ("analytics.md", "watch.md"):
        assert told.removesuffix(".") in (page / name).read_text("utf-8")
