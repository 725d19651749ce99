"""Build, test and measure the GPU part on this machine, and write a report.

    scripts/gpu_check [--quick] [--no-build] [--only STEP[,STEP]] [--wheels DIR] [--out DIR]
    scripts/gpu_check --fetch

Builds the checkout for this machine's GPU into a folder of its own and, with TensorRT, an engine;
runs the tests of the GPU, some of them under compute-sanitizer, the benchmarks, and the tests of
the CPU's kernels; writes OUT/GPU-DATE.json and .md after each step, where OUT is
benchmarks/results. What is missing is skipped, and the report says so; a step that fails does not
stop the others.

With the packages that build and test edgecount installed (numpy, opencv, pytest, hypothesis, onnx,
nanobind, scikit-build-core) it needs no network. Where nanobind or scikit-build-core are missing or
too old, --fetch on a machine with a network puts their wheels (1 MB) into build/wheels, and a run
takes them from there; other packages can be given with --wheels.

Steps for --only, in their order, after the build and a look at what was built:
  imports    reading torch and other packages for the first time, outside the others' time
  engine     a TensorRT engine of the model
  gpu        tests/gpu
  memcheck   some of them under compute-sanitizer
  kernels    benchmarks/gpu/kernels.py
  pipeline   benchmarks/gpu/pipeline.py
  cpu        the tests of the C++ kernels, whose results the GPU's are compared with
  racecheck, synccheck, initcheck: as memcheck, with what time is left

Exit code 0 if no step failed, 1 if one did or there is no GPU, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from machine import look_around
from report import table, write_report
from requirements import WHEELS, fetch
from run import ROOT, Check, Outcome
from steps import STEPS, TOTAL, scale, steps

OLDEST = (3, 10)
SIGNS = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}


def main(arguments: list[str] | None = None) -> int:
    """Run all steps and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if sys.version_info < OLDEST:
        print("gpu_check: expected Python 3.10 or newer: name one with PYTHON=...", file=sys.stderr)
        return 1
    options = parse(arguments)
    if options.fetch:
        return fetch(options.python)
    try:
        machine = look_around(options.python, [])
    except OSError as error:
        print(f"gpu_check: {error}", file=sys.stderr)
        return 1
    if machine.gpu is None:
        print(f"gpu_check: nothing to check: {machine.no_gpu}")
        return 0 if options.allow_none else 1
    print(table(["", ""], machine.describe()))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gpu_check-") as folder:
        check = Check(
            machine=machine,
            work=Path(folder).resolve(),
            deadline=started + options.limit,
            wheels=options.wheels and options.wheels.resolve(),
            build=not options.no_build,
            quick=options.quick,
            model=options.model,
            only=tuple(options.only),
            scale=scale(options.limit, options.only),
        )
        command = check.shorten(shlex.join(["scripts/gpu_check", *arguments]))
        failed = run(check, command, options.out)
    print(f"{time.monotonic() - started:.0f} s")
    print(f"failed: {', '.join(failed)}" if failed else "nothing failed")
    return 1 if failed else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/gpu_check",
        description=(__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer maps, frames and shapes")
    parser.add_argument("--no-build", action="store_true", help="check what is installed")
    only = {"metavar": "STEP[,STEP]", "help": "run these steps alone; may be repeated"}
    parser.add_argument(
        "--only", type=lambda text: text.split(","), action="extend", default=[], **only
    )
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="wheels to use beside the build")
    wheels = f"download what builds edgecount to {WHEELS.relative_to(ROOT)}, and nothing else"
    parser.add_argument("--fetch", action="store_true", help=wheels)
    parser.add_argument("--python", default=sys.executable, help="which runs the tests")
    parser.add_argument("--model", default="edgecount-s", help="for the pipeline's benchmark")
    out = ROOT / "benchmarks" / "results"
    parser.add_argument("--out", type=Path, metavar="DIR", default=out, help="for the report")
    limit = f"for everything [{TOTAL:g}]; steps get shares of it"
    parser.add_argument("--limit", type=float, default=TOTAL, metavar="SECONDS", help=limit)
    parser.add_argument("--allow-none", action="store_true", help="exit code 0 without a GPU")
    options = parser.parse_args(arguments)
    if options.wheels is not None and not options.wheels.is_dir():
        parser.error(f"--wheels: expected a folder, got {options.wheels}")
    for name in options.only:
        if name not in STEPS:
            parser.error(f"--only: expected some of {', '.join(STEPS)}, got {name or 'nothing'}")
    if options.limit <= 0:
        parser.error(f"--limit: expected a number of seconds above 0, got {options.limit:g}")
    return options


def run(check: Check, command: str, out: Path) -> list[str]:
    """Run the steps, write the report after each, and return the names of those that failed."""
    outcomes: list[Outcome] = []
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    paths: tuple[Path, ...] = ()
    for outcome in steps(check):
        outcomes.append(outcome)
        result = f": {outcome.message}" if outcome.message else ""
        print(f"{SIGNS[outcome.status]:8}{outcome.name} ({outcome.seconds:.0f} s){result}")
        tail = outcome.tail.splitlines() if outcome.status == "failed" else []
        print("".join(f"    | {line}\n" for line in tail), end="", flush=True)
        # At once: whoever ends this run from outside still has what was found so far.
        paths = write_report(check, outcomes, command, date, out)
    print(" and ".join(str(path) for path in paths), end=" in ")
    return [outcome.name for outcome in outcomes if outcome.status == "failed"]


if __name__ == "__main__":
    sys.exit(main())
