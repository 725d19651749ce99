"""The report at the end of a run: its best weights on every held-out set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.evaluation import evaluate_counter
from edgecount.train.open_checkpoint import open_checkpoint
from edgecount.train.report import write_report


def report_run(
    out: Path,
    validation: Mapping[str, Sequence[Sample]],
    log: Path,
    *,
    device: str = "cpu",
    progress: Callable[[], None] | None = None,
) -> Path:
    """Write ``out/report/`` and return the path of ``report.html``.

    Args:
        out: the run's folder.
        validation: held-out samples by split.
        log: the run's ``log.jsonl``.
        device: device of the network, ``cpu`` or ``cuda``.
        progress: called after each image.

    Raises:
        OutputError: the folder cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    best = out / "best.pt"
    checkpoint = best if best.exists() else out / "last.pt"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    with open_checkpoint(checkpoint, device=device) as counter:
        evaluations = {
            name: evaluate_counter(counter, samples, progress=progress)
            for name, samples in validation.items()
        }
        return write_report(
            out / "report",
            evaluations,
            counter=counter,
            samples=validation,
            log=lines,
            title=f"{counter.manifest.name}, {checkpoint.name}",
        )
