"""Printed text: names of any bytes, every encoding, and stdout that takes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecount.cli._shell.output import printable, to_json

ODD = os.fsdecode(b"b\xe9.png")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("straße 中.jpg", "straße 中.jpg"),
        (ODD, r"b\xe9.png"),
        ("\x1b[31mred\x1b[0m.png", r"\x1b[31mred\x1b[0m.png"),
        ("two\nlines\t.png", r"two\nlines\t.png"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\x9b2J", r"\x9b2J"),
    ],
)
def test_names_move_no_cursor(name, shown):
    assert printable(name) == shown


def test_json_of_any_name_is_utf_8():
    text = to_json({"source": ODD, "regions": {"\udcff": 1}})
    assert json.loads(text.encode("utf-8")) == {"source": r"b\xe9.png", "regions": {r"\xff": 1}}


def edgecount(*args: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "edgecount", *map(os.fsencode, map(str, args))]
    env = {**os.environ, "PYTHONUTF8": "0", **environment}
    return subprocess.run(command, capture_output=True, check=False, timeout=60, env=env)


def odd_folder(files) -> Path:
    """Make three pictures; the name of the second is no UTF-8."""
    folder = files.image("in/a.png", 1).parent
    files.image("in/c.png", 3)
    files.image("in/b.png", 2).rename(folder / os.fsdecode(b"\xe9 \x1b[7m\xc3\xa9.png"))
    return folder


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "utf-8:strict"},
        {"PYTHONIOENCODING": "latin-1:strict"},
        {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_every_name_is_counted_in_every_encoding(files, tiny_model, environment):
    folder = odd_folder(files)
    text = edgecount("count", folder, "--model", tiny_model, **environment)
    assert (text.returncode, text.stderr) == (0, b"")
    assert rb"\xe9 \x1b[7m" in text.stdout
    assert b"\x1b" not in text.stdout
    lines = edgecount("count", folder, "--model", tiny_model, "--json", **environment)
    found = [json.loads(line.decode("utf-8")) for line in lines.stdout.splitlines()]
    assert [round(one["count"]) for one in found] == [1, 3, 2]
    # Where the file system's names are ASCII, as in the last case, é is two bytes that are not.
    assert Path(found[2]["source"]).name in ("\\xe9 \x1b[7mé.png", "\\xe9 \x1b[7m\\xc3\\xa9.png")


def shell(script: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", script, sys.executable]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("words", ["models", "--help", "models --help"])
@pytest.mark.parametrize("stdout", [">&-", ">/dev/full"])
def test_stdout_that_takes_nothing_is_an_error(words, stdout):
    done = shell(f'"$0" -m edgecount {words} {stdout}')
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("edgecount: error: cannot write to stdout: ")


def test_closed_stdin_and_stderr_are_fine():
    done = shell('"$0" -m edgecount models <&- 2>&-')
    assert done.returncode == 0
    assert "edgecount-n" in done.stdout


def test_a_full_disk_behind_stdout_ends_the_run(files, tiny_model):
    for name in "ab":
        files.image(f"in/{name}.png", 1)
    done = shell(f'"$0" -m edgecount count {files.root / "in"} --model {tiny_model} >/dev/full')
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
