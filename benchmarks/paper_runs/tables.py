"""Tables of an experiment: mean and spread over the seeds, and the paper's figures beside."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from paper_runs.experiment import Experiment, Run
from paper_runs.work import read_result, value_at

Result = Mapping[str, Any]
Rows = dict[str, list[Mapping[str, Any]]]


def write_tables(experiments: tuple[Experiment, ...], runs: Path, out: Path) -> list[Path]:
    """Write ``papers-NAME.md`` of each experiment with at least one run that is done.

    Args:
        experiments: the experiments.
        runs: folder of the runs.
        out: folder of the tables, and of results that other machines have measured.

    Returns:
        The files written.

    Raises:
        ConfigError, OutputError: a result cannot be used, see :func:`read_result`.
    """
    written = []
    for one in experiments:
        results = [
            result
            for variant in one.variants
            for seed in one.seeds
            if (result := read_result(Run(one, variant, seed), runs, out)) is not None
        ]
        if results:
            path = out / f"papers-{one.name}.md"
            text = "\n".join(_page(one, results)) + "\n"
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _page(one: Experiment, results: list[Result]) -> Iterator[str]:
    of = len(one.variants) * len(one.seeds)
    dates = sorted({result["date"] for result in results})
    steps = sorted({result["steps"] for result in results})
    minutes = [result["cpu_minutes"] for result in results]
    machines = "; ".join(sorted({result["machine"] for result in results}))
    yield f"# {one.title}"
    yield ""
    yield f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}, {machines}:"
    yield ""
    yield "```sh"
    yield f"EDGECOUNT_DATA=... python benchmarks/papers.py --runs runs/papers --only {one.name}"
    yield "```"
    yield ""
    changed = f" with {', '.join(f'`{change}`' for change in one.changes)}" if one.changes else ""
    yield (
        f"Config `{one.config}`{changed}: {', '.join(map(str, steps))} steps, "
        f"{min(minutes):.0f} to {max(minutes):.0f} minutes of a core each, the last weights. "
        f"{len(results)} of {of} runs are done. Mean and standard deviation over the seeds, which "
        "draw weights and batches; behind them the seeds' own values. What differs by less than "
        "the spread shows nothing."
    )
    yield ""
    if one.start:
        yield (
            "All runs start from the weights of one training, as far as they fit, with "
            f"{', '.join(f'`{change}`' for change in one.start)}."
        )
        yield ""
    for note in one.notes:
        yield note
        yield ""
    last = f" {one.paper_columns} |" if one.paper_columns else ""
    yield f"| variant | {' | '.join(one.columns)} | seeds |{last}"
    yield "|---" * (len(one.columns) + (3 if last else 2)) + "|"
    for variant in one.variants:
        yield from _rows(one, variant, results)


def _rows(one: Experiment, variant: str, results: list[Result]) -> Iterator[str]:
    """Yield the rows of a variant: one, or those that its measure gives."""
    rows: Rows = {}
    for result in results:
        if result["variant"] == variant:
            for row, summary in result["measured"].items():
                rows.setdefault(row, []).append(summary)
    paper = one.variants[variant].paper

    def last(row: str) -> str:
        return f" {paper.get(row, '-')} |" if one.paper_columns else ""

    if not rows:
        yield f"| {variant} |{' - |' * len(one.columns)} 0 |{last('')}"
    for row, summaries in rows.items():
        cells = " | ".join(_cell(summaries, path) for path in one.columns.values())
        name = ", ".join(part for part in (variant, row) if part)
        yield f"| {name} | {cells} | {len(summaries)} |{last(row)}"


def _cell(summaries: list[Mapping[str, Any]], path: str) -> str:
    """Return mean, spread and values of one column."""
    values = [value for one in summaries if (value := value_at(one, path)) is not None]
    if not values:
        return "-"
    digits = 3 if max(map(abs, values)) < 2 else 2
    each = ", ".join(f"{value:.{digits}f}" for value in values)
    if len(values) == 1:
        return each
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    return f"{mean:.{digits}f} ± {spread:.{digits}f} ({each})"
