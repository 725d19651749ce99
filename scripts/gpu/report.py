"""The report of gpu_check, as JSON and as Markdown. Standard library only."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from goals import goals
from run import ROOT, Check, Outcome


def write_report(
    check: Check, outcomes: Sequence[Outcome], command: str, date: str, folder: Path
) -> tuple[Path, Path]:
    """Write the report of the steps that were run so far; one of the same UTC date is replaced.

    `command` is what repeats the run. Returns the paths of the JSON and of the Markdown.
    """
    gpu, machine = check.machine.gpu, check.machine
    numbers, tables = {}, []
    for name in ("kernels", "pipeline"):
        path = check.work / f"{name}.json"
        numbers[name] = json.loads(path.read_text()) if path.exists() else None
        path = path.with_suffix(".md")
        tables += [path.read_text(encoding="utf-8").strip()] if path.exists() else []
    left_out = [f"{step.name}: {step.message}" for step in outcomes if step.status == "skipped"]
    left_out += [reason for step in outcomes for reason in step.skipped]
    content: dict[str, Any] = {
        "date": date,
        "command": command,
        "machine": {
            "gpu": gpu._asdict() if gpu else None,
            "driver": machine.driver,
            "system": machine.system,
            "python": machine.python[1],
            "packages": list(machine.modules.values()),
            "tools": list(machine.tools),
        },
        "version": commit(),
        "steps": [asdict(outcome) for outcome in outcomes],
        **numbers,
        "quick": check.quick,
        "part": "-".join(check.only),
        "goals": [{**asdict(goal), "verdict": goal.verdict} for goal in goals(**numbers)],
        "skipped": list(dict.fromkeys(left_out)),
    }
    name = re.sub(r"[^a-z0-9]+", "-", gpu.name.lower() if gpu else "no-gpu").strip("-")
    parts = [name, date, content["part"], "quick" if check.quick else ""]
    data = folder / f"{'-'.join(part for part in parts if part)}.json"
    folder.mkdir(parents=True, exist_ok=True)
    data.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = data.with_suffix(".md")
    page = "\n\n".join(markdown(content, machine.describe(), tables)) + "\n"
    text.write_text(page, encoding="utf-8")
    return data, text


def commit() -> str:
    """Return the commit that is checked out, marked if files differ from it; or "unknown"."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=, changed", "--abbrev=10"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode().strip() or "unknown"


def markdown(
    content: dict[str, Any], machine: Sequence[Sequence[str]], tables: Sequence[str]
) -> Iterator[str]:
    """Yield the parts of the Markdown."""
    yield f"# {(content['machine']['gpu'] or {'name': 'no GPU'})['name']}, {content['date']}"
    yield f"`{content['command']}` on edgecount {content['version']}."
    yield table(["", ""], machine)
    yield "## Goals"
    rows = [[g["what"], g["wanted"], g["measured"], g["verdict"]] for g in content["goals"]]
    yield table(["goal", "wanted", "measured", ""], rows)
    yield "## Steps"
    steps = content["steps"]
    rows = [[s["name"], s["status"], f"{s['seconds']:.0f} s", s["message"]] for s in steps]
    yield table(["step", "", "took", "result"], rows)
    for step in steps:
        if step["status"] == "failed" and step["tail"]:
            yield f"The end of {step['name']}:\n\n```text\n{step['tail']}\n```"
    yield from tables
    if content["skipped"]:
        yield "## Skipped\n\n" + "\n".join(f"- {line}" for line in content["skipped"])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
