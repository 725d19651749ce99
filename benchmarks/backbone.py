"""Time a bundled edge model beside its bare backbone.

    python benchmarks/backbone.py [--model MODEL] [--size 640x480] [--threads 2] [--rounds 60]

The backbone is MobileNetV2 alone, as far as the model uses it (the 160-channel stage at stride
32), exported in the same way with random weights. Both run in ONNX Runtime in turn, in one process
on the same tensor; the times are medians, and the ratio is what counts. The goal for edgecount-s at
640x480 on two cores is 1.5.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
import warnings
from contextlib import redirect_stdout

import numpy as np
import torch
from end_to_end import PAUSE, open_session, timed
from torch import Tensor, nn

from edgecount.models import DEFAULT_MODEL
from edgecount.runtime.models.open import open_model
from edgecount.train.models.fold import fold_batch_norm
from edgecount.train.models.mobilenet_v2 import MobileNetV2


class Coarsest(nn.Module):
    """A backbone that returns its coarsest map alone."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.backbone = MobileNetV2(width=width)

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, C, H / 32, W / 32) features of (B, 3, H, W) images."""
        out: Tensor = self.backbone(image)[32]
        return out


def main() -> None:
    """Time the model and the backbone by turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--size", default="640x480", help="of the tensor, WIDTHxHEIGHT")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    found = open_model(options.model)
    assert found.path is not None
    network = found.manifest.training.get("network", {})
    share = float(network.get("width", 0.5 if network.get("name") == "edgecount-n" else 1.0))
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, height, width)).astype(np.float32)
    sessions = {
        "backbone": open_session(export_backbone(share, image), options.threads),
        found.manifest.name: open_session(found.path.read_bytes(), options.threads),
    }
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for round_number in range(options.rounds + 3):
        for name, session in sessions.items():
            feed = {session.get_inputs()[0].name: image}
            time.sleep(PAUSE)
            took = timed(lambda session=session, feed=feed: session.run(None, feed))
            if round_number >= 3:  # the first ones warm up
                times[name].append(took)
    medians = {name: statistics.median(values) for name, values in times.items()}
    bare, model = medians.values()
    print(f"{width} x {height}, {options.threads} threads, {options.rounds} rounds")
    for name, value in medians.items():
        print(f"{name:16}{value:8.2f} ms")
    print(f"{'ratio':16}{model / bare:8.2f}")


def export_backbone(width: float, image: np.ndarray) -> bytes:
    """Return the bare backbone as ONNX, its batch norms folded."""
    torch.manual_seed(0)
    network = fold_batch_norm(Coarsest(width).eval())  # type: ignore[type-var]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        # torch's exporter warns of its internals and of torchvision.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(network, (torch.from_numpy(image),), dynamo=True)
    assert program is not None
    program.optimize()
    return program.model_proto.SerializeToString()


if __name__ == "__main__":
    main()
