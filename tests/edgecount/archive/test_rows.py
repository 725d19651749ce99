"""Rows of an archive's table: their columns and types, and the names of odd files."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from edgecount import EdgeCounter, MissingExtraError, SourceError
from edgecount.archive.rows import COLUMNS, arrow_schema, make_row, row_name


@pytest.fixture(scope="module")
def result():
    with EdgeCounter(backend="fake", regions={"gate": [(0, 0), (64, 0), (64, 64)]}) as counter:
        return counter.count(np.full((64, 96, 3), 90, np.uint8))


def test_a_counted_image_is_a_row_of_plain_types(result):
    row = make_row("day/1.jpg", result)
    assert tuple(row) == COLUMNS
    assert json.loads(json.dumps(row)) == row
    assert (row["source"], row["count"], row["low"]) == (
        "day/1.jpg",
        result.count,
        result.interval[0],
    )
    assert (row["width"], row["height"]) == (96, 64)
    assert row["regions"] == {"gate": result.regions["gate"].count}
    assert row["backend"] == "fake"
    assert row["seconds"] > 0
    assert row["error"] is row["error_type"] is None


def test_an_image_that_cannot_be_counted_is_a_row_too():
    row = make_row("a.jpg", SourceError("cannot read\n http://me:word@host/a.jpg?token=abc"))
    assert tuple(row) == COLUMNS
    assert row["error"] == "cannot read http://host/a.jpg?token=***"
    assert row["error_type"] == "SourceError"
    assert {row[name] for name in COLUMNS if name not in ("source", "error", "error_type")} == {
        None
    }
    assert make_row("a", MemoryError())["error"] == "not enough memory"
    assert make_row("a", RuntimeError())["error"] == "RuntimeError"
    assert len(make_row("a", RuntimeError("x" * 100_000))["error"]) == 1000


def test_names_stay_apart():
    names = ["a.jpg", "\udcff", r"\xff", r"\\xff", "\\\udcff", "a\\b", "a\\\udcffb", "ü", "\n", '"']
    written = [row_name(name) for name in names]
    assert len(set(written)) == len(names)
    assert all(name.encode().decode() == name for name in written)
    assert written[:4] == ["a.jpg", r"\xff", r"\\xff", r"\\\\xff"]
    assert written[5] == "a\\b"
    assert row_name("https://me:word@host/a.jpg?key=1") == "https://host/a.jpg?key=1"


def test_names_are_the_same_whatever_the_locale():
    code = (
        "import sys, os; from edgecount.archive.rows import row_name\n"
        "from edgecount.archive.shards import Shard\n"
        "name = os.fsdecode(b'Z\\xc3\\xbcrich\\xff.png')\n"
        "print(ascii(row_name(name)), [i for i in range(1, 17) if Shard(i, 16).holds(name)])"
    )
    latin = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | more,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for more in ({"PYTHONUTF8": "1"}, latin)
    }
    assert len(found) == 1
    assert found.pop().startswith(r"'Z\xfcrich\\xff.png' ")


def test_rows_fit_the_arrow_schema(result):
    pa = pytest.importorskip("pyarrow")
    rows = [make_row("a", result), make_row("b", SourceError("no"))]
    table = pa.Table.from_pylist(rows, schema=arrow_schema())
    found = table.to_pylist()
    assert [row | {"regions": row["regions"] and dict(row["regions"])} for row in found] == rows


def test_a_missing_pyarrow_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "edgecount\[archive\]"'):
        arrow_schema()


def test_pyarrow_is_loaded_when_it_is_needed_alone():
    code = (
        "import sys, edgecount.cli.count, edgecount.cli._archive.command\n"
        "print('pyarrow' in sys.modules, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
