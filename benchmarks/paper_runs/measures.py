"""Measures of a trained run, taken through the counter that its users would call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecount.train.checkpoint import load_network
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.candidates import LEAST_SCORE
from edgecount.train.evaluate.evaluation import evaluate_counter
from edgecount.train.open_checkpoint import open_checkpoint
from edgecount.train.raznet.measure import measure_fusion, measure_zoom

Sets = Mapping[str, list[Sample]]
Rows = dict[str, dict[str, Any]]

_FUSION = {
    "density": "density alone",
    "points": "points alone",
    "squares": "both, in squares of 64 px",
    "grid": "both, on a 4 x 4 grid",
}


def counts(folder: Path, sets: Sets) -> Rows:
    """Measure the last weights, which no validation has chosen, on the held-out images."""
    with open_checkpoint(_last(folder), device="cpu") as counter:
        return {"": evaluate_counter(counter, _together(sets)).summary()}


def counts_by_set(folder: Path, sets: Sets) -> Rows:
    """Measure as `counts` does, each set by itself."""
    with open_checkpoint(_last(folder), device="cpu") as counter:
        return {
            name: evaluate_counter(counter, samples).summary() for name, samples in sets.items()
        }


def ranked_counts(folder: Path, sets: Sets) -> Rows:
    """Measure as `counts` does, and average precision."""
    with (
        open_checkpoint(_last(folder), device="cpu") as counter,
        open_checkpoint(_last(folder), device="cpu", threshold=LEAST_SCORE) as candidates,
    ):
        found = evaluate_counter(counter, _together(sets), candidates=candidates)
        return {"": found.summary()}


def fusion_and_zoom(folder: Path, sets: Sets) -> Rows:
    """Measure a network's density, its points and both, and its points with 0, 1 and 2 zooms."""
    last, samples = _last(folder), _together(sets)
    network, _ = load_network(last)
    fused = measure_fusion(network, samples)
    rows: Rows = {text: dict(fused[name]) for name, text in _FUSION.items()}
    zoomed = measure_zoom(lambda zoom: open_checkpoint(last, zoom=zoom, device="cpu"), samples)
    return rows | {f"zoom {zoom}": dict(values) for zoom, values in zoomed.items()}


def _last(folder: Path) -> Path:
    return folder / "last.pt"


def _together(sets: Sets) -> list[Sample]:
    return [sample for samples in sets.values() for sample in samples]
