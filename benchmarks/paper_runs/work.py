"""Runs worked on: each one trained to its end, measured, and kept; the next time it is skipped."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgecount.errors import ConfigError, EdgeCountError, OutputError
from edgecount.train.checkpoint import load_checkpoint
from edgecount.train.config import config_from_dict, config_to_dict
from edgecount.train.data.assemble import load_held_out
from edgecount.train.loop import train
from edgecount.train.relay.deadline import Deadline
from paper_runs.experiment import Run

RESULT = "result.json"
Say = Callable[[str], None]


def work(
    runs: Iterable[Run], folder: Path, stop: Deadline, say: Say, kept: Path | None = None
) -> bool:
    """Start or resume each run that is not done; return whether all are.

    A run that fails is said in one line, and the next one is begun. A run in whose folder another
    process trains is left to it.

    Args:
        runs: runs in the order of their start.
        folder: folder of the runs; a folder for each.
        stop: the time to stop at; what is trained by then is resumed by the next call.
        say: called with a line about each thing that happens.
        kept: folder of results that other machines have measured, see :func:`keep_results`.
    """
    done = True
    for run in runs:
        if stop():
            say("the time is up; the same command goes on")
            return False
        try:
            if read_result(run, folder, kept) is None:
                done &= _one(run, folder, stop, say)
        except EdgeCountError as error:
            say(f"{run.name}: {error}")
            done = False
    return done


def read_result(run: Run, folder: Path, kept: Path | None = None) -> dict[str, Any] | None:
    """Return what a run that is done has measured; None: it is not done.

    Args:
        run: the run.
        folder: folder of the runs.
        kept: folder of results that is asked where the run's own folder has none.

    Raises:
        ConfigError: the result was measured with another config, or other changes of it.
        OutputError: it is damaged.
    """
    path = folder / run.name / RESULT
    if path.is_file():
        found: dict[str, Any] = _read(path)
    elif kept is not None and (path := _kept_in(kept, run)).is_file():
        of_run = (one for one in _read(path) if (one["variant"], one["seed"]) == _key(run))
        found = next(of_run, {})
    else:
        found = {}
    if not found:
        return None
    asked = {"config": run.experiment.config, "changes": run.changes, "settings": _settings(run)}
    # Older results have no settings, or not those that came later.
    given = {"settings": asked["settings"], **found}
    given["settings"] = _filled(given["settings"])
    if any(given.get(key) != value for key, value in asked.items()):
        raise ConfigError(
            f"{run.name} in {path} was measured with other settings than those in the list of "
            "experiments: remove it there, with the run's folder, to train it anew"
        )
    return found


def keep_results(runs: Iterable[Run], folder: Path, kept: Path) -> list[Path]:
    """Write the results of the runs that are done to ``papers-EXPERIMENT.json``; return the files.

    They are what a table is made of, and what another machine needs to go on with the other runs.

    Raises:
        ConfigError, OutputError: see :func:`read_result`.
    """
    found: dict[Path, list[dict[str, Any]]] = {}
    for run in runs:
        result = read_result(run, folder, kept)
        if result is not None:
            found.setdefault(_kept_in(kept, run), []).append(result)
    for path, results in found.items():
        # One line a run.
        lines = ",\n".join(json.dumps(result) for result in results)
        temporary = path.with_suffix(".part")
        temporary.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        temporary.replace(path)
    return list(found)


def _kept_in(kept: Path, run: Run) -> Path:
    return kept / f"papers-{run.experiment.name}.json"


def _key(run: Run) -> tuple[str, int]:
    return run.variant, run.seed


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} is damaged: {error}: remove it") from error


def _filled(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with the defaults of those that they lack."""
    given = {"held_out_size": "trained", **settings}  # before there was a choice
    start = given.pop("start", None)
    values = config_to_dict(config_from_dict(given))
    del values["paper"]
    return values if start is None else values | {"start": _filled(start)}


def _settings(run: Run) -> dict[str, Any]:
    """Return the whole config of a run, which its YAML file may change under a result."""
    values = config_to_dict(run.config())
    settings = {key: value for key, value in values.items() if key != "paper"}
    return settings if run.before is None else settings | {"start": _settings(run.before)}


def _one(run: Run, folder: Path, stop: Deadline, say: Say) -> bool:
    """Train and measure one run; return False where the time is up before its end."""
    config, out = run.config(), folder / run.name
    if not _train(run, folder, stop, say):
        return False
    say(f"{run.name}: measuring")
    held_out = load_held_out(config, out, load_checkpoint(out / "last.pt"))
    measured = run.experiment.measure(out, held_out)
    result = {
        "variant": run.variant,
        "seed": run.seed,
        "config": run.experiment.config,
        "changes": run.changes,
        "settings": _settings(run),
        "steps": config.steps,
        "cpu_minutes": round(_spent(out) / 60, 1),
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": _machine(),
        "measured": measured,
    }
    temporary = out / f"{RESULT}.part"
    temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    temporary.replace(out / RESULT)
    say(f"{run.name}: done, {result['cpu_minutes']} minutes of a core; {_brief(run, measured)}")
    return True


def _train(run: Run, folder: Path, stop: Deadline, say: Say) -> bool:
    """Train one run, and before it the one that it starts from; return whether it is trained."""
    config, out = run.config(), folder / run.name
    last = out / "last.pt"
    if _is_trained(last, config.steps):
        return True
    if run.before is not None:
        if not _train(run.before, folder, stop, say):
            return False
        weights = folder / run.before.name / "last.pt"
        config = dataclasses.replace(config, initial_weights=str(weights.resolve()))
    say(f"{run.name}: {'resuming' if last.exists() else 'starting'}")
    with _clock(out):
        train(config, out, resume=True, device="cpu", stop=stop)
    return _is_trained(last, config.steps)


def _is_trained(last: Path, steps: int) -> bool:
    """Return True if a checkpoint is at the end, its threshold fitted."""
    if not last.exists():
        return False
    state = load_checkpoint(last)
    return int(state["step"]) >= steps and "postprocess" in state


@contextmanager
def _clock(out: Path) -> Iterator[None]:
    """Add the CPU time of what is done inside to a file in the run's folder."""
    before, start = _spent(out), time.process_time()
    try:
        yield
    finally:
        if out.is_dir():
            spent = before + time.process_time() - start
            (out / "seconds.txt").write_text(f"{spent:.1f}\n", encoding="utf-8")


def _spent(out: Path) -> float:
    """Return the seconds of CPU time that a run has taken, without what a kill has hidden."""
    try:
        return float((out / "seconds.txt").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


def _machine() -> str:
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"one thread of {next(names, cpu)}"


def value_at(summary: Mapping[str, Any], path: str) -> float | None:
    """Return the number at a path such as ``count.mae``; None where there is none."""
    found: Any = summary
    for key in path.split("."):
        if isinstance(found, list):
            found = found[int(key)] if int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def _brief(run: Run, measured: Mapping[str, Mapping[str, Any]]) -> str:
    title, path = next(iter(run.experiment.columns.items()))
    values = {row: value_at(summary, path) for row, summary in measured.items()}
    return ", ".join(
        f"{row} {title} {value:.2f}".strip() for row, value in values.items() if value is not None
    )
