"""A recipe worked on: the next stage, from where it was stopped, until the time is up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from pathlib import Path

from edgecount._files import write_whole
from edgecount.errors import OutputError
from edgecount.train.checkpoint import load_checkpoint
from edgecount.train.data.assemble import load_held_out
from edgecount.train.data.needs import KEYS, KEYS_OF_RESUMED, check_needs
from edgecount.train.journal import OnRecord
from edgecount.train.lock import run_folder
from edgecount.train.loop import train
from edgecount.train.relay.deadline import Deadline
from edgecount.train.relay.stages import Stage
from edgecount.train.relay.validation import open_counter, tables, validate
from edgecount.train.report.charts import curves

Say = Callable[[str], None]
KEPT = "validation.json"


def go_on(
    stages: Sequence[Stage],
    results: Path,
    stop: Deadline,
    *,
    device: str = "auto",
    say: Say = lambda _: None,
    report: OnRecord | None = None,
) -> bool:
    """Start or resume the first stage that is not done, and those after it; keep their results.

    A stage is trained to its end, then measured on its held-out images. A folder
    ``results/STAGE`` gets its ``log.jsonl``, ``curves.png``, ``validation.json`` and
    ``validation.md``.

    Args:
        stages: result of :func:`edgecount.train.relay.stages.find_stages`.
        results: folder for the results.
        stop: time to stop at; a validation is begun before that and ends later.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: called with a line about each thing that happens.
        report: called with each line of the logs.

    Returns:
        Whether every stage is done.

    Raises:
        ConfigError, SourceError, ModelError, OutputError: see :func:`edgecount.train.loop.train`.
    """
    for stage in stages:
        if is_kept(stage, results):
            continue
        config = stage.settings()
        trained = stage.is_trained()
        if not trained:  # else its held-out sets are enough
            check_needs(config, KEYS_OF_RESUMED if stage.last.exists() else KEYS)
        begun = load_checkpoint(stage.last) if stage.last.exists() else None
        sets = load_held_out(config, stage.folder, begun)
        if not trained:
            say(f"{stage.name}: {'resuming' if stage.last.exists() else 'starting'}")
            train(config, stage.folder, resume=True, device=device, report=report, stop=stop)
            if not stage.is_trained():
                say(f"{stage.name}: stopped, the time is up; the same command goes on")
                return False
        if stop():
            say(f"{stage.name}: trained, the time is up; the same command measures it")
            return False
        say(f"{stage.name}: measuring")
        with open_counter(stage.last) as counter:
            measured = validate(counter, sets)
        keep(stage, results, measured)
        say(f"{stage.name}: done, kept in {results / stage.name}")
    return True


def is_kept(stage: Stage, results: Path) -> bool:
    """Return True if a stage was trained, measured and kept."""
    return (results / stage.name / KEPT).is_file()


def keep(stage: Stage, results: Path, measured: dict[str, object]) -> None:
    """Write a finished stage's log, curves and validation into the folder of results.

    Raises:
        OutputError: it cannot be written.
    """
    folder = results / stage.name
    lines = (stage.folder / "log.jsonl").read_text().splitlines()
    chart = curves([json.loads(line) for line in lines])
    date = datetime.now(timezone.utc).date().isoformat()
    head = (
        f"# {stage.name}\n\nMeasured on {date} on the images that its config holds out, to which "
        "threshold, blend and interval are fitted.\n\n"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stage.folder / "log.jsonl", folder / "log.jsonl")
        if chart:
            write_whole(folder / "curves.png", chart)
        text = head + tables({stage.name: measured}) + "\n"
        write_whole(folder / "validation.md", text.encode())
        # Last and whole, because it says that the stage is done.
        text = json.dumps({"date": date, **measured}, indent=1) + "\n"
        write_whole(folder / KEPT, text.encode())
    except OSError as error:
        raise OutputError(f"cannot write the results to {folder}: {error}") from error


def only_one(runs: Path) -> AbstractContextManager[object]:
    """Keep a second relay out of a folder of runs while this one works there.

    A folder that the relay makes and leaves empty is taken away if it fails.

    Raises:
        OutputError: another one works there, or the folder cannot be written.
    """
    return run_folder(runs, name="relay.lock", doing="running a relay in")
