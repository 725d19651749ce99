"""What gpu_check found, as JSON and as Markdown. Standard library only."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpu_goals import goals
from gpu_run import ROOT, Check, Outcome

Rows = Sequence[Mapping[str, Any]]
# The columns of the tables, by the keys of the benchmarks' JSON.
COUNTING = {
    "batch": "batch",
    "height": "rows",
    "width": "columns",
    "dtype": "maps",
    "regions": "regions",
    "fusion": "fusion",
    "listed": "listed",
    "offset": "offset",
    "keep_density": "density back",
    "us": "µs",
    "cached_us": "µs, cached",
    "read_us": "µs, eager, read",
    "bytes": "bytes",
    "back_bytes": "bytes back",
    "share_of_copy": "share of copy",
    "share_of_copies": "of both copies",
}
IN_TORCH = {
    **{key: COUNTING[key] for key in ("batch", "height", "width", "dtype", "regions")},
    "read_us": "µs, eager, read",
    "torch_read_us": "torch",
    "ratio": "times as fast",
    "eager_us": "µs, eager, GPU",
    "torch_eager_us": "torch",
    "graph_us": "µs, graph",
    "torch_graph_us": "torch",
    "graph_ratio": "times as fast",
}
ON_CPU = {key: COUNTING[key] for key in ("batch", "height", "width", "dtype", "regions", "us")}
PREPARING = {
    "pixels": "pixels",
    "height": "rows",
    "width": "columns",
    "resized": "resized",
    "dtype": "input",
    "us": "µs",
    "gigabytes_per_second": "GB/s",
    "upload_us": "µs, upload",
    "torch_us": "µs, torch",
    "cpu_us": "µs, C++ on the CPU",
    "opencv_us": "µs, OpenCV on the CPU",
}
FRAMES = {
    "way": "frames",
    "preprocess": "preprocess",
    "infer": "infer",
    "postprocess": "postprocess",
    "total": "total",
    "fps": "frames/s",
    "share_of_engine": "pre + post of the engine",
}
_PERCENT = ("share_of_copy", "share_of_copies", "share_of_engine")


@dataclass(frozen=True)
class Report:
    """All that is written.

    Attributes:
        date: year, month and day, in UTC.
        command: what was called.
        machine: GPU, driver, system, packages.
        version: of edgecount: the commit, if there is one.
        steps: what was done, and what came of it.
        kernels: the JSON of benchmarks/gpu_kernels.py; None if it did not get so far.
        pipeline: the JSON of benchmarks/gpu_pipeline.py, likewise.
        quick: whether less than all was measured.
        part: the steps that were chosen; empty: all.
    """

    date: str
    command: str
    machine: dict[str, Any]
    version: str
    steps: list[Outcome]
    kernels: dict[str, Any] | None
    pipeline: dict[str, Any] | None
    quick: bool = False
    part: str = ""

    @classmethod
    def read(cls, check: Check, outcomes: list[Outcome], command: str, date: str) -> Report:
        """The report of the steps that were run so far."""
        machine = check.machine
        gpu = machine.gpu
        return cls(
            date=date,
            command=command,
            machine={
                "gpu": gpu._asdict() if gpu else None,
                "driver": machine.driver,
                "system": machine.system,
                "python": machine.python[1],
                "packages": list(machine.modules.values()),
                "tools": list(machine.tools),
            },
            version=commit(),
            steps=outcomes,
            kernels=read_numbers(check.work / "kernels.json"),
            pipeline=read_numbers(check.work / "pipeline.json"),
            quick=check.quick,
            part="-".join(check.only),
        )

    @property
    def name(self) -> str:
        """Of the files, without an ending."""
        gpu = self.machine["gpu"]["name"] if self.machine["gpu"] else "no-gpu"
        short = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
        endings = [self.part, "quick" if self.quick else ""]
        return "-".join([short, self.date, *(ending for ending in endings if ending)])

    @property
    def left_out(self) -> list[str]:
        """What was skipped, and why, each once."""
        lines = []
        for step in self.steps:
            if step.status == "skipped":
                lines.append(f"{step.name}: {step.said}")
            lines += step.skipped
        return list(dict.fromkeys(lines))


def read_numbers(path: Path) -> dict[str, Any] | None:
    """A benchmark's JSON; None if it did not get to write one."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def commit() -> str:
    """The commit that is checked out, and whether files differ from it; "unknown" without git."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return "unknown"
    command = [git, "-C", str(ROOT), "describe", "--always", "--dirty=, changed", "--abbrev=10"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode().strip() or "unknown"


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write the JSON and the Markdown; their paths. A report of the same day is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    data, text = (folder / f"{report.name}{ending}" for ending in (".json", ".md"))
    measured = [asdict(goal) for goal in goals(report.kernels, report.pipeline)]
    content = {**asdict(report), "goals": measured, "skipped": report.left_out}
    data.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text.write_text("\n\n".join(markdown(report)) + "\n", encoding="utf-8")
    return data, text


def markdown(report: Report) -> Iterator[str]:
    """The parts of the Markdown."""
    gpu = report.machine["gpu"] or {"name": "no GPU", "capability": "-", "cuda": "-"}
    yield f"# {gpu['name']}, {report.date}"
    yield (
        f"`{report.command}` on edgecount {report.version}; compute capability "
        f"{gpu['capability']}, driver {report.machine['driver'] or 'unknown'} for CUDA "
        f"{gpu['cuda']}; {report.machine['system']}; Python {report.machine['python']}; "
        f"{', '.join(report.machine['packages'])}."
    )
    yield "## Goals"
    rows = [
        [g.what, g.wanted, g.measured, g.verdict] for g in goals(report.kernels, report.pipeline)
    ]
    yield table(["goal", "wanted", "measured", ""], rows)
    yield "## Steps"
    rows = [[s.name, s.status, f"{s.seconds:.0f} s", s.said] for s in report.steps]
    yield table(["step", "", "took", "result"], rows)
    for step in report.steps:
        if step.status == "failed" and step.tail:
            yield f"The end of {step.name}:\n\n```text\n{step.tail}\n```"
    if report.kernels:
        yield from kernel_parts(report.kernels)
    if report.pipeline:
        yield from pipeline_parts(report.pipeline)
    if report.left_out:
        yield "## Skipped"
        yield "\n".join(f"- {line}" for line in report.left_out)


def kernel_parts(kernels: Mapping[str, Any]) -> Iterator[str]:
    """Tables of the kernels."""
    yield "## Yardsticks"
    if copy := kernels.get("copy"):
        yield (
            f"A copy of {copy['bytes'] / 2**20:.0f} MiB on the device moves "
            f"{copy['gigabytes_per_second']:.0f} GB/s, read and written bytes together, one of "
            f"{copy['batch_bytes'] / 1e6:.1f} MB, as many as the goals' maps, "
            f"{copy['batch_gigabytes_per_second']:.0f} GB/s, and one to pinned memory "
            f"{copy['back_gigabytes_per_second']:.0f} GB/s. Shares are of the faster one of the "
            "first two; of both copies: of what copying the bytes on the device and those back to "
            "the host takes, one after the other."
        )
    launches = kernels.get("launch", {}).items()
    rows = [[name.removesuffix("_us").replace("_", " "), number(us)] for name, us in launches]
    yield table(["launch", "µs"], rows)
    for title, key, columns in (
        ("Counting", "count", COUNTING),
        ("Counting, beside torch on the same GPU", "torch", IN_TORCH),
        ("Counting by the C++ on the CPU, one thread", "cpu", ON_CPU),
        ("Preprocessing", "preprocess", PREPARING),
    ):
        if kernels.get(key):
            yield f"## {title}"
            yield from_rows(kernels[key], columns)


def pipeline_parts(pipeline: Mapping[str, Any]) -> Iterator[str]:
    """A table for each engine."""
    height, width = pipeline["size"]
    yield f"## Frames of {width} x {height} through {pipeline['model']}, milliseconds"
    for row in pipeline["backends"]:
        yield (
            f"{row['backend']} on {row['device']}, the bare engine {number(row['engine'])} ms, "
            f"{number(row['count'])} people in the first frame:"
        )
        yield from_rows(row["ways"], FRAMES)


def from_rows(rows: Rows, columns: Mapping[str, str]) -> str:
    """A table of some keys of rows."""
    cells = [
        [percent(row.get(k)) if k in _PERCENT else number(row.get(k)) for k in columns]
        for row in rows
    ]
    return table(list(columns.values()), cells)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def number(value: object) -> str:
    """A value in a table: three digits that count, at least."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, (list, tuple)):
        return " x ".join(str(part) for part in value)
    return str(value)


def percent(value: float | None) -> str:
    """A share in a table."""
    return "-" if value is None else f"{100 * value:.0f}%"
