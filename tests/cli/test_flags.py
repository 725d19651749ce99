"""Errors of the library name options as Python does, and the command line its flags."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import edgecount
from edgecount.cli._shell.flags import with_flags

FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
# A command to type may have flags.
COMMAND = re.compile(r"edgecount (export|inspect|train|adapt|data)|\bpip\b|python3? -m|Usage")


@click.command()
@click.option("--split")
@click.option("--set", "changes")
@click.argument("model")
def command() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("split: expected a name", "--split: expected a name"),
        ("data.split: expected a name", "--split: expected a name"),
        ("changes: a: expected key=value", "--set: a: expected key=value"),
        ("not set: give `changes=a=1`", "not set: give --set a=1"),
        ("model: expected a file", "model: expected a file"),
        ("run.yaml: split: expected a name", "run.yaml: split: expected a name"),
        ("the split: none", "the split: none"),
        ("serve.split: expected a name", "--split: expected a name"),
        ("page.split: no such file", "page.split: no such file"),
        (
            "it is bad; copy it again, or set `split` to take it",
            "it is bad; copy it again, or set --split to take it",
        ),
        ("it is bad; copy it again, or set `depth` to take it", "it is bad; copy it again"),
        ("it is large: shrink it, or set `depth` higher", "it is large: shrink it"),
        ("shrink it, or set `depth` higher: or not", "shrink it, or set `depth` higher: or not"),
    ],
)
def test_options_become_flags_where_they_are_named(said: str, shown: str) -> None:
    assert with_flags(said, command) == shown


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["bench", "edgecount-n", "--backend", "foo"], "'--backend': expected one of"),
        (["adapt", "edgecount-n", ".", "--reader", "foo"], "--reader: expected"),
        (["train", "tiny", "--out", "x", "--set", "foo"], "--set: foo: expected key=value"),
        (["count", "x.png", "--threshold", "7"], "--threshold"),
    ],
)
def test_every_command_names_its_flags(run, tmp_path, monkeypatch, arguments, shown) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert shown in result.stderr


@pytest.mark.parametrize(("option", "name"), [("--token-file", "a.token"), ("--csv", "x/data.csv")])
def test_names_of_files_are_no_options(run, tmp_path, monkeypatch, option, name) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("")
    result = run("watch", "rtsp://127.0.0.1:1/x", "--serve", "127.0.0.1:0", option, name, "--check")
    assert result.exit_code == 2
    assert name in result.stderr


@pytest.mark.parametrize("folder", ["runtime", "export", "train"])
def test_the_library_speaks_of_no_flags(folder: str) -> None:
    """Except in commands to type."""
    root = Path(edgecount.__file__).parent / folder
    if not root.is_dir():  # an editable install keeps the folders apart
        root = Path(__file__).parents[2] / folder
    files = [path for path in root.rglob("*.py") if "relay" not in path.parts]
    assert files
    for path in files:
        text = re.sub(r'"""(.|\n)*?"""|#.*', "", path.read_text())
        for raised in re.findall(r"Error\(\n?(?:[^()]|\([^()]*\))*\)", text):
            if FLAG.search(raised):
                assert COMMAND.search(raised), f"{path}: {raised}"
