"""docs/papers.md names code, tests and configs that exist."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
TOPS = ("train", "edgecount", "runtime", "export", "cpp_ext", "benchmarks", "tests", "scripts")
# A path from one of the top folders, and maybe a name in that file.
NAMED = re.compile(rf"`((?:{'|'.join(TOPS)})/[^`:\s]*)(?:::([^`]+))?`")


def claims() -> list[list[str]]:
    """Return the cells of every claim, without the tables' heads and rules."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    return [row for row in cells if len(row) == 4 and row[0] != "the paper"]


def symbols(path: Path) -> set[str]:
    """Return the functions and classes of a file."""
    text = path.read_text(encoding="utf-8")
    return set(re.findall(r"^\s*(?:def|class) (\w+)", text, re.MULTILINE))


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim[0][:40])
def test_a_claim_has_code_a_verdict_and_a_test(claim: list[str]) -> None:
    _, code, verdict, tests = claim
    assert re.match(r"exact|differs|open|not so|not done|measured", verdict.lower()), verdict
    if verdict.startswith("not done"):
        return
    assert NAMED.search(code) or "`" in code, code
    assert NAMED.search(tests), tests


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(TEXT))))
def test_what_is_named_exists(path: str, name: str) -> None:
    place = ROOT / path
    assert place.exists(), path
    assert not name or name in symbols(place), f"{path}::{name}"


def table_configs() -> list[str]:
    """Return the names of configs, and the patterns of names, in the page's last table."""
    table = TEXT.partition("## The tables and their configs")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return [name for row in rows for name in re.findall(r"`([\w.*-]+)`", row)]


def test_every_config_of_a_paper_is_in_the_table_of_its_rows() -> None:
    there = {path.stem for path in (ROOT / "train" / "configs").glob("*/*.yaml")}
    patterns = table_configs()
    unknown = [pattern for pattern in patterns if not fnmatch.filter(there, pattern)]
    left_out = {name for name in there if not any(fnmatch.fnmatch(name, p) for p in patterns)}
    ranged = {f"centernet-gta-head-poly-g{number}" for number in range(1, 7)}
    assert unknown == []
    assert left_out <= ranged
