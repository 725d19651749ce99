"""Measure RAZ-Net's two ideas on a model: two-stream fusion on a grid, and zooming.

Prints a table for the held-out lists of ShanghaiTech A and B and SCUT-HEAD. Threshold and ends of
a blend are fitted to one half of a list's images and measured on the other, and back.

    EDGECOUNT_DATA=... python benchmarks/raznet.py fusion edgecount-s --images 40
    EDGECOUNT_DATA=... python benchmarks/raznet.py zoom edgecount-s --images 4 --zoom 0 1 2
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from edgecount import EdgeCounter
from edgecount.train.data.readers import read_samples
from edgecount.train.data.sample import Sample
from edgecount.train.data.splits import evenly, split
from edgecount.train.open_checkpoint import open_checkpoint
from edgecount.train.open_trainable import open_trainable
from edgecount.train.raznet.measure import measure_fusion, measure_zoom

SETS = {
    "shanghaitech_a": ("shanghaitech", "shanghaitech/part_A/train"),
    "shanghaitech_b": ("shanghaitech", "shanghaitech/part_B/train"),
    "scut_head": ("voc", "scut_head"),
}


def held_out(name: str, images: int) -> list[Sample]:
    """Return so many held-out images of a set, evenly chosen."""
    reader, folder = SETS[name]
    samples = read_samples(reader, Path(os.environ["EDGECOUNT_DATA"]) / folder)
    return evenly(split(samples, name)[1], images)


def fusion_rows(model: str, name: str, samples: Sequence[Sample]) -> Iterator[str]:
    """Yield a row for each way to count."""
    network, _, _ = open_trainable(model)
    for way, values in measure_fusion(network.eval(), samples).items():
        yield (
            f"| {name} ({len(samples)}) | {way} | {values['mae']:.2f} | {values['rmse']:.2f} "
            f"| {values['bias']:+.2f} |"
        )


def zoom_rows(
    model: str, name: str, samples: Sequence[Sample], zooms: Sequence[int]
) -> Iterator[str]:
    """Yield a row for each number of enlargements."""

    def open_model(zoom: int) -> EdgeCounter:
        if model.endswith(".pt"):
            return open_checkpoint(Path(model), zoom=zoom)
        return EdgeCounter(model, backend="onnxruntime", precision="float32", zoom=zoom)

    for zoom, values in measure_zoom(open_model, samples, zooms=zooms).items():
        yield (
            f"| {name} ({len(samples)}) | {zoom} | {values['mae']:.2f} | {values['points_mae']:.2f}"
            f" | {values['points_bias']:+.2f} | {values['precision']:.3f} | {values['recall']:.3f} "
            f"| {values['f1']:.3f} | {values['f1_8']:.3f} | {values['seconds']:.1f} |"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("fusion", "zoom"))
    parser.add_argument("model", help="bundled model, .onnx file or checkpoint (.pt)")
    parser.add_argument("--images", type=int, default=16, help="of each list")
    parser.add_argument("--zoom", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "fusion":
        print("| set (images) | count by | MAE | RMSE | bias |\n|---|---|---|---|---|")
    else:
        columns = "MAE | MAE of points | bias of points | precision | recall | F1 | F1 at 8 px | s"
        print(f"| set (images) | zoom | {columns} |\n|{'---|' * 10}")
    for name in options.sets:
        samples = held_out(name, options.images)
        rows = (
            fusion_rows(options.model, name, samples)
            if options.what == "fusion"
            else zoom_rows(options.model, name, samples, options.zoom)
        )
        for row in rows:
            print(row, flush=True)


if __name__ == "__main__":
    main()
