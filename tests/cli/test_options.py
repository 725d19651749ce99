"""Options that several commands share."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edgecount.cli._types.options import (
    folder_option,
    new_file_option,
    number_option,
    refuse_existing,
    side_limit,
)
from edgecount.errors import OutputError


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


def test_a_longer_side_is_the_models_a_number_or_none() -> None:
    assert side_limit(None) == {}
    assert side_limit(640) == {"max_side": 640}
    assert side_limit("native") == {"max_side": None}


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


@pytest.mark.parametrize("flag", ["--threads", "--workers"])
def test_more_threads_than_any_machine_has_are_refused(run, flag):
    result = run("count", "a.jpg", flag, "100000")
    assert result.exit_code == 2
    assert "1<=x<=1024" in result.stderr
    assert "1<=x<=1024" in " ".join(run("count", "--help").stdout.split())
