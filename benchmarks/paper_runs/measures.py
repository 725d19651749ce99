"""What is measured of a trained run, through the counter that its users would call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.evaluation import evaluate_counter
from edgecount.train.open_checkpoint import open_checkpoint

Sets = Mapping[str, list[Sample]]


def counts(folder: Path, sets: Sets) -> dict[str, dict[str, Any]]:
    """Measure the last weights, which no validation has chosen, on the held-out images."""
    with open_checkpoint(folder / "last.pt", device="cpu") as counter:
        return {"": evaluate_counter(counter, _together(sets)).summary()}


def _together(sets: Sets) -> list[Sample]:
    return [sample for samples in sets.values() for sample in samples]
