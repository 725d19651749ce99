"""Compare what the papers compare, in trainings of minutes with several seeds.

    EDGECOUNT_DATA=... python benchmarks/papers.py --runs runs/papers --until 21:30
    python benchmarks/papers.py --runs runs/papers --table

Runs that are done are kept; one that was stopped, or killed, goes on from its last checkpoint.
`--table` writes `benchmarks/results/papers-*.md`, and `papers-*.json` beside them: with these,
another machine goes on with the runs that are still to do.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

import torch

from edgecount.errors import EdgeCountError
from edgecount.train.relay.deadline import deadline
from paper_runs.catalogue import EXPERIMENTS
from paper_runs.experiment import Run, runs_of
from paper_runs.tables import write_tables
from paper_runs.work import keep_results, read_result, work

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Work on the runs, or list or tabulate them; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--only", default="", help="an experiment, a variant of it, or a run")
    parser.add_argument("--until", help="time of the day to stop at, HH:MM")
    parser.add_argument("--list", action="store_true", help="say what is done, and stop")
    parser.add_argument("--table", action="store_true", help="write the tables, and stop")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of tables and results"
    )
    given = parser.parse_args()
    runs = list(runs_of(EXPERIMENTS, given.only))
    try:
        if not runs:
            names = ", ".join(one.name for one in EXPERIMENTS)
            raise SystemExit(f"--only: expected one of {names}, or a run of it, got {given.only}")
        if given.list:
            for run in runs:
                print(f"{run.name:50} {state_of(run, given.runs, given.results)}")
            return 0
        if given.table:
            kept = keep_results(runs_of(EXPERIMENTS), given.runs, given.results)
            for path in [*kept, *write_tables(EXPERIMENTS, given.runs, given.results)]:
                print(path)
            return 0
        torch.set_num_threads(1)
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        stop = deadline(given.until, None)
        return 0 if work(runs, given.runs, stop, say, given.results) else 1
    except EdgeCountError as error:
        raise SystemExit(f"papers: {error}") from error


def state_of(run: Run, folder: Path, kept: Path) -> str:
    """Say how far a run is."""
    try:
        result = read_result(run, folder, kept)
    except EdgeCountError as error:
        return str(error)
    if result is not None:
        return f"done on {result['date']}"
    return "begun" if (folder / run.name / "last.pt").exists() else "to do"


def say(line: str) -> None:
    """Print a line with the time."""
    print(time.strftime("%H:%M:%S"), line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
