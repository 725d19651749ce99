"""The form for reports of boards: GitHub shows no form at all where its rules are broken."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from edgecount.cli import cli

ROOT = Path(__file__).parents[2]
FORM = ROOT / ".github" / "ISSUE_TEMPLATE" / "gpu-report.yml"
# https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema
TYPES = {"markdown", "textarea", "input", "dropdown", "checkboxes"}

if not FORM.is_file():
    pytest.skip("the repository is not at hand", allow_module_level=True)


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(FORM.read_text(encoding="utf-8"))
    return content


def test_it_is_a_form_as_github_wants_it(form: dict[str, Any]) -> None:
    assert {"name", "description", "body"} <= form.keys()
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in form["body"]} <= TYPES
    assert all(part["attributes"]["label"] for part in fields)
    ids = [part["id"] for part in fields]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in ids)
    options = [part["attributes"].get("options", [{"label": "x"}]) for part in fields]
    assert all(set(option) <= {"label", "required"} for found in options for option in found)


def test_what_it_names_exists(form: dict[str, Any]) -> None:
    text = FORM.read_text(encoding="utf-8")
    named = re.findall(r"`?\b((?:scripts|docs|docker|benchmarks)/[\w/.]*)", text)
    paths = {name.rstrip(".") for name in named if "NAME" not in name}
    assert {"scripts/gpu_check", "docs/jetson.md"} <= paths
    assert all((ROOT / path).exists() for path in paths)
    for line in re.findall(r"`edgecount (\w+[^`]*)`", text):
        words = shlex.split(line)
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None, line
        if words[1:]:
            command.make_context(words[0], words[1:])


def test_it_installs_what_counting_an_engine_and_the_build_need() -> None:
    lines = re.findall(r"^ +pip install ([^#\n]+)", FORM.read_text(encoding="utf-8"), re.MULTILINE)
    installed = {name for line in lines for name in line.split()}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed: set[str] = set()
    for key in ("requires", "dependencies", "engine"):
        listed = re.search(rf"^{key} = \[(.*?)\]$", project, re.MULTILINE | re.DOTALL)
        assert listed is not None, key
        needed |= set(re.findall(r'"([\w-]+)', listed[1]))
    assert {"nanobind", "click", "onnxslim"} <= needed <= installed
