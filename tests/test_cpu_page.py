"""docs/cpu.md names files and options that there are, and numbers that were measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def milliseconds(of: str) -> dict[str, list[float]]:
    """Return the milliseconds of the page's table that has a text in its head, by row."""
    table = re.search(rf"^\| {re.escape(of)}.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table, of
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table[1].splitlines()]
    return {row[0]: [float(cell.split()[0]) for cell in row[1:]] for row in rows}


@pytest.mark.parametrize(
    ("of", "result", "row", "engines"),
    [
        (
            "AVX-512 with VNNI",
            "engines-2026-11-30.md",
            "EPYC with AVX-512",
            [
                "ONNX Runtime float32",
                "ONNX Runtime int8",
                "OpenVINO float32",
                "OpenVINO bfloat16",
                "OpenVINO int8",
                "OpenVINO int8+bfloat16",
            ],
        ),
        (
            "AVX2 alone",
            "engines-2026-11-29.md",
            "Zen 3",
            ["ONNX Runtime float32", "ONNX Runtime int8", "OpenVINO float32", "OpenVINO int8"],
        ),
    ],
)
def test_engines(of: str, result: str, row: str, engines: list[str]) -> None:
    """The page's times are the measured ones, and what a second thread brings follows from them."""
    text = (ROOT / "benchmarks" / "results" / result).read_text(encoding="utf-8")
    told = milliseconds(of)
    for size, threads in (("480x640", 1), ("480x640", 2), ("768x1024", 1), ("768x1024", 2)):
        part = text.partition(f"## {size}, {threads} thread")[2].partition("\n## ")[0]
        pattern = r"^\| {} \| [\d.]+ \| ([\d.]+) \|"
        found = [
            float(match[1])
            for engine in engines
            if (match := re.search(pattern.format(re.escape(engine)), part, re.MULTILINE))
        ]
        height, width = size.split("x")
        assert told[f"{width}x{height}, {('one thread', 'two threads')[threads - 1]}"] == found
    one, two = told["640x480, one thread"], told["640x480, two threads"]
    (gains,) = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", PAGE, re.MULTILINE)
    told_gains = [float(gain) for gain in re.findall(r"([\d.]+) x", gains)]
    assert told_gains == [round(a / b, 1) for a, b in zip(one, two, strict=True)]


def test_memory() -> None:
    measured = re.findall(r"^\| \S+ \| \w+ \| [\dx]+ \| \d+ \| (\d+) \|", MEMORY, re.MULTILINE)
    told = re.findall(r"(\d+) MB", PAGE.partition("## Memory")[2].partition("Each further")[0])
    assert len(measured) == 8
    assert sorted(told) == sorted(measured)
