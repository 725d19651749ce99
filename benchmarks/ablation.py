"""Measure how the papers' ideas change the errors on real streets, with one budget and seed.

Trains edgecount-s on ShanghaiTech B at half size for every variant and writes, for the 80 held-out
images, the errors of the counts and how well the points match.

    EDGECOUNT_DATA=... python benchmarks/ablation.py --out runs/ablation

A variant whose folder holds a result is not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from edgecount.train.checkpoint import load_network
from edgecount.train.config import config_from_dict
from edgecount.train.data.assemble import load_data
from edgecount.train.evaluate.evaluation import evaluate_counter
from edgecount.train.loop import train
from edgecount.train.open_checkpoint import open_checkpoint

KEYS = ("count", "density_count", "peak_count", "points", "points_at", "ssim", "psnr")
BASE: dict[str, Any] = {
    "model": "edgecount-s",
    "objective": {"name": "edge"},
    "backbone_weights": "backbones/mobilenet_v2_1.0_imagenet.npz",
    "data": [
        {"reader": "shanghaitech", "path": "shanghaitech/part_B/train", "split": "shanghaitech_b"}
        | {"shrink": 0.5, "scale": [0.7, 1.5]}
    ],
    "crop": 192,
    "batch_size": 8,
    "steps": 1600,
    "learning_rate": 1e-3,
    "warmup": 100,
    "precision": "fp32",
    "evaluate_every": 1600,
    # An average of the weights over 500 steps would lag behind in a run this short.
    "ema": 0.0,
    "tensorboard": False,
    "report": False,
    "seed": 1,
}
NETWORK, EDGE = {"name": "edgecount-s"}, {"name": "edge"}
PLAIN = {**NETWORK, "heatmap": False}
BOTH = {"model": {**NETWORK, "focus": True, "recalibration": True}}
VARIANTS: dict[str, dict[str, Any]] = {
    "L_h": {},
    "poly-L_m": {"objective": {**EDGE, "heatmap_loss": "poly-L_m"}},
    "L_m": {"objective": {**EDGE, "heatmap_loss": "L_m"}},
    "focus": {"model": {**NETWORK, "focus": True}},
    "recalibration": {"model": {**NETWORK, "recalibration": True}},
    "focus+recalibration": BOTH,
    "focus+recalibration+consistency": {**BOTH, "objective": {**EDGE, "scale_consistency": 0.1}},
    "density-poisson": {"model": PLAIN},
    "density-zip": {
        "model": {**PLAIN, "zero_inflated": True},
        "objective": {**EDGE, "counts": "zip"},
    },
    "density-mse": {"model": PLAIN, "objective": {"name": "density", "loss": "mse"}},
    "density-bsl": {"model": PLAIN, "objective": {"name": "density", "loss": "bsl"}},
}


def run(name: str, out: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """Train and measure one variant, or read the result that its folder holds."""
    result = out / name / "result.json"
    if result.exists():
        found: dict[str, Any] = json.loads(result.read_text())
        return found
    config = config_from_dict({**BASE, **VARIANTS[name], **changes})
    started = time.perf_counter()
    train(config, out / name, resume=True, device="cpu")
    seconds = time.perf_counter() - started
    last = out / name / "last.pt"
    model, _ = load_network(last)
    with open_checkpoint(last) as counter:
        held_out = load_data(config, out).validation["shanghaitech_b"]
        summary = evaluate_counter(counter, held_out).summary()
    record = {
        "variant": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "minutes": round(seconds / 60, 1),
        **{key: summary[key] for key in KEYS if key in summary},
    }
    result.write_text(json.dumps(record, indent=1))
    return record


def main() -> None:
    """Run the variants one after the other and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=BASE["steps"])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    steps = {"steps": arguments.steps, "evaluate_every": arguments.steps}
    for name in arguments.only:
        record = run(name, arguments.out, steps)
        density = record.get("density_count", {}).get("mae", float("nan"))
        points = record.get("points", {}).get("f1", float("nan"))
        print(
            f"{name:34} count {record['count']['mae']:6.2f}  density {density:6.2f}  "
            f"points F1 {points:.3f}  {record['minutes']:.1f} min",
            flush=True,
        )


if __name__ == "__main__":
    main()
