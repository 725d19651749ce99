"""docs/archives.md says what is in a table, to the last column, and names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgecount.archive.images import LIST_SUFFIXES
from edgecount.archive.rows import COLUMNS, arrow_schema
from edgecount.archive.store import ROWS
from edgecount.cli.count import count

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "archives.md").read_text(encoding="utf-8")


def rows_of(title: str) -> list[list[str]]:
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    table = re.findall(r"^\| (.*) \|$", found[1], re.MULTILINE)
    return [line.split(" | ") for line in table]


def test_every_column_is_described_with_its_type() -> None:
    pytest.importorskip("pyarrow")
    named = {"bool": "bool", "double": "double", "int32": "int32", "string": "string"}
    named["map of string to double"] = "map<string, double>"
    described = {
        name: named[kind]
        for names, kind, *_ in rows_of("Rows")
        if kind in named
        for name in re.findall(r"`(\w+)`", names)
    }
    assert described == {field.name: str(field.type) for field in arrow_schema()}
    assert tuple(described) == COLUMNS


def test_options_numbers_and_links_are_true() -> None:
    known = {flag for param in count.params for flag in param.opts}
    text = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    own = set(re.findall(r"(?<!-)--[a-z][a-z-]+", text)) - {"--array"}
    assert own <= known
    assert f"{ROWS:,} rows" in PAGE
    assert all(f"`{suffix}`" in PAGE or f"list{suffix}" in PAGE for suffix in LIST_SUFFIXES)
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert not [link for link in links if "://" not in link and not (DOCS / link).exists()]
