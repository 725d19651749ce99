"""The blocks of README.md and CONTRIBUTING.md do what they show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from edgecount.cli import COMMANDS, cli
from edgecount.scenes import render_clip, render_scene

ROOT = Path(__file__).resolve().parent.parent
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
DOCUMENTS = ("README.md", "CONTRIBUTING.md")


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shell_lines(*documents: str) -> list[list[str]]:
    lines = [
        line for name in documents for block in blocks(name, "sh") for line in block.split("\n")
    ]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the files that the examples name."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "photos").mkdir()
    picture = render_scene(20, size=(640, 480), seed=1).image
    for name in ("street.jpg", "photos/one.jpg"):
        cv2.imwrite(str(folder / name), picture)
    fourcc = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(folder / "clip.mp4"), fourcc, 8.0, (320, 240))
    for scene in render_clip(4, frames=6, fps=8.0, size=(320, 240), seed=1):
        writer.write(scene.image)
    writer.release()
    return folder


@pytest.mark.parametrize("code", blocks("README.md", "python"))
def test_python_blocks_run(code: str, place: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


COMMAND_LINES = [words for words in shell_lines("README.md") if words[0] == "edgecount"]


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_commands_run(words: list[str], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    result = CliRunner().invoke(cli, words[1:])
    assert result.exit_code == 0, result.output
    assert result.stdout


def test_every_command_line_is_of_a_kind_that_is_tested() -> None:
    starts = {words[0] for words in shell_lines(*DOCUMENTS)}
    assert starts <= {"edgecount", "make", "pip"}


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {words[1] for words in shell_lines(*DOCUMENTS) if words[0] == "make"}
    assert shown
    assert shown <= targets
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == targets


def test_extras_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    section = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    known = set(re.findall(r"^([a-z]+) = \[", section, re.MULTILINE))
    text = "".join((ROOT / name).read_text() for name in DOCUMENTS)
    shown = {extra for group in re.findall(r"\[([a-z,]+)\]\"", text) for extra in group.split(",")}
    assert shown
    assert shown <= known


def test_links_lead_somewhere() -> None:
    for name in (*DOCUMENTS, "CHANGELOG.md"):
        links = re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text())
        paths = [link.partition("#")[0] for link in links if "://" not in link]
        missing = [path for path in paths if not (ROOT / path).exists()]
        assert not missing, f"{name}: {missing}"


def test_tables_are_tables() -> None:
    """GitHub shows one whose rows have other numbers of cells as plain text, or cuts them."""
    pages = [ROOT / name for name in (*DOCUMENTS, "CHANGELOG.md")]
    pages += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "edgecount" / "models").glob("*.md")]
    for page in pages:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            head, *rows = (_cells(row) for row in table.splitlines())
            assert [len(row) for row in rows] == [len(head)] * len(rows), f"{page}: {head}"


def _cells(row: str) -> list[str]:
    plain = re.sub(r"`[^`]*`", "code", row.replace(r"\|", "or"))
    return plain.strip().strip("|").split("|")


def test_the_text_names_only_commands_that_exist() -> None:
    text = "".join((ROOT / name).read_text() for name in DOCUMENTS)
    named = set(re.findall(r"`edgecount ([a-z]+)", text))
    assert named <= set(COMMANDS)


def test_scripts_are_executable() -> None:
    for name in ("scripts/check", "scripts/lint", ".ci/run"):
        assert os.access(ROOT / name, os.X_OK), name


def package_text() -> str:
    """Return what a package index shows, which knows nothing of the repository's files."""
    named = re.search(r'^readme = "(.*)"$', PROJECT, re.MULTILINE)
    assert named
    return (ROOT / named[1]).read_text(encoding="utf-8")


def test_the_package_index_shows_no_broken_picture_or_link() -> None:
    targets = re.findall(r"\]\(([^)]*)\)|src=\"([^\"]*)\"", package_text())
    assert all(target.startswith("https://") for pair in targets for target in pair if target)


def test_the_package_index_shows_code_of_the_readme() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", package_text(), re.MULTILINE | re.DOTALL)
    assert code in blocks("README.md", "python")
    extras = set(re.findall(r"^\| `(\w+)` \|", package_text(), re.MULTILINE))
    assert len(extras) > 4
    assert all(re.search(rf"^{extra} = \[", PROJECT, re.MULTILINE) for extra in extras)


def test_the_notice_names_the_weights_and_their_terms() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert "edgecount/models/*.onnx" in notice
    for name in ("ShanghaiTech", "SCUT-HEAD", "Mall"):
        assert name in notice
