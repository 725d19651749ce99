"""docs/cpu.md names files and options that there are, and numbers that were measured."""

from __future__ import annotations

import re
from pathlib import Path

from edgecount.cli import cli

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "cpu.md").read_text(encoding="utf-8")
MEMORY = (ROOT / "benchmarks" / "results" / "memory-2026-11-29.md").read_text(encoding="utf-8")


def test_links_and_scripts() -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    for script in re.findall(r"`(?:python )?((?:scripts|benchmarks)/[\w/.]+)", PAGE):
        assert (ROOT / script).is_file(), script


def test_options() -> None:
    for command, options in re.findall(r"`edgecount (\w+)([^`]*)`", PAGE):
        known = {name for param in cli.get_command(None, command).params for name in param.opts}
        assert set(re.findall(r"--[\w-]+", options)) <= known, command


def test_memory() -> None:
    measured = re.findall(r"^\| \S+ \| \w+ \| [\dx]+ \| \d+ \| (\d+) \|", MEMORY, re.MULTILINE)
    told = re.findall(r"(\d+) MB", PAGE.partition("## Memory")[2].partition("Each further")[0])
    assert len(measured) == 8
    assert sorted(told) == sorted(measured)
