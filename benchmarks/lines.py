"""Measure crossings of lines on rendered clips whose people are known.

    python benchmarks/lines.py [--model edgecount-s] [--people 10,40,150] [--clips 2] [--seconds 8]
    EDGECOUNT_DATA=../shared/data python benchmarks/lines.py --mall

Walkers cross seven vertical and three horizontal lines of the frame, at ten frames a second. Each
row gives the true crossings of all lines, those counted from the true heads, and those counted from
the model's results; the error is the sum of both directions' errors over the true crossings. The
last column is the time of all lines of a frame in shares of the time of counting it.

``--mall`` reads the Mall video (two frames a second) from $EDGECOUNT_DATA/mall. People there are
not numbered: the net flow to the left over the middle of the picture, and the people on the left as
`Anchor` holds that flow to their count, are compared with the annotated people on the left, who
also come and go at the picture's edges.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgecount import CountResult, EdgeCounter, Region
from edgecount.analytics import Anchor, Line, LineCounter, Occupancy
from edgecount.scenes import Scene, render_clip
from edgecount.train.data.readers import read_samples

SIZE = (640, 480)
FPS = 10
MALL_FPS = 2
HIDDEN = 2.0  # s for which somebody may be out of sight and still be the same
LINES = (
    *(Line(f"vertical {x}", (x, 0), (x, 480)) for x in range(80, 640, 80)),
    *(Line(f"horizontal {y}", (0, y), (640, y)) for y in (240, 300, 360)),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="edgecount-s")
    parser.add_argument("--people", default="10,40,150")
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mall", action="store_true")
    options = parser.parse_args()
    if options.mall:
        with EdgeCounter(options.model, threads=options.threads) as counter:
            mall(counter)
        return
    print("people  true in/out   by true heads       by the model        error  time")
    with EdgeCounter(options.model, threads=options.threads) as counter:
        for people in map(int, options.people.split(",")):
            table = np.zeros((len(LINES), 3, 2))
            spent = np.zeros(2)
            for seed in range(options.clips):
                clip = list(
                    render_clip(
                        people, frames=round(options.seconds * FPS), fps=FPS, size=SIZE, seed=seed
                    )
                )
                table[:, 0] += crossings(clip)
                table[:, 1] += counted(clip, [truth(scene.points) for scene in clip], None)
                began = time.perf_counter()
                results = [counter.count(scene.image) for scene in clip]
                spent[0] += time.perf_counter() - began
                began = time.perf_counter()
                table[:, 2] += counted(clip, results, counter)
                spent[1] += time.perf_counter() - began
            true, heads, model = table.sum(0)
            error = np.abs(model - true).sum() / max(true.sum(), 1)
            print(
                f"{people:6d}  {true[0]:5.0f} {true[1]:5.0f}   {heads[0]:7.1f} {heads[1]:7.1f}   "
                f"{model[0]:7.1f} {model[1]:7.1f}   {error:6.0%}  {spent[1] / spent[0]:.0%}",
                flush=True,
            )


def crossings(clip: Sequence[Scene]) -> np.ndarray:
    """Return how many people go in and out across each line, (lines, 2)."""
    found = np.zeros((len(LINES), 2))
    last: dict[int, tuple[float, np.ndarray]] = {}
    for step, scene in enumerate(clip):
        now = step / FPS
        for number, point in zip(scene.ids.tolist(), scene.points.astype(float), strict=True):
            when, before = last.get(number, (now, point))
            last[number] = (now, point)
            # Who leaves at one side comes in at the other.
            if now - when > HIDDEN or abs(point[0] - before[0]) > SIZE[0] / 2:
                continue
            for row, line in enumerate(LINES):
                sides = line.side(np.array([before, point]))
                if line.beside(((before + point) / 2)[None])[0] and (sides[0] < 0) != (
                    sides[1] < 0
                ):
                    found[row, 0 if sides[1] >= 0 else 1] += 1
    return found


def counted(
    clip: Sequence[Scene], results: Sequence[CountResult], counter: EdgeCounter | None
) -> np.ndarray:
    """Return the counter's crossings of each line, (lines, 2)."""
    manifest = None if counter is None else counter.manifest
    lines = LineCounter(LINES, SIZE, manifest=manifest)
    for step, (scene, result) in enumerate(zip(clip, results, strict=True)):
        found = lines.update(step / FPS, result, None if counter is None else scene.image)
    return np.array([[found[line.name].into, found[line.name].out] for line in LINES])


def mall(counter: EdgeCounter) -> None:
    """Print how the people on the left of the Mall video are held by the flow over its middle."""
    samples = read_samples("mall", Path(os.environ["EDGECOUNT_DATA"]) / "mall")
    line = Line("middle", (0.5, 0), (0.5, 1), fractions=True)
    left = Region("left", [(0, 0), (0.5, 0), (0.5, 1), (0, 1)], fractions=True)
    by_model = LineCounter([line], manifest=counter.manifest)
    by_heads = LineCounter([line])
    occupancy, anchor = Occupancy([left], manifest=counter.manifest), Anchor(horizon=20.0)
    rows = []
    for step, sample in enumerate(samples):
        image, now = sample.image(), step / MALL_FPS
        result = counter.count(image)
        flow = by_model.update(now, result, image)["middle"]
        heads = by_heads.update(now, truth(sample.points, result.size))["middle"]
        found = occupancy.update(now, result)
        assert found is not None
        count = found["left"].count
        there = float((sample.points[:, 0] < result.size[0] / 2).sum())
        rows.append((there, count, anchor.update(now, count, net=flow.net), flow.net, heads.net))
    there, count, held, net, heads_net = np.array(rows).T
    print(
        f"{len(rows)} frames, {there.mean():.1f} annotated people on the left, from "
        f"{there[0]:.0f} at first to {there[-1]:.0f} at last"
    )
    print(
        f"net flow to the left: {net[-1]:.1f} by the model, {heads_net[-1]:.1f} by the annotated "
        "heads"
    )
    for name, values in (("count", count), ("held by the flow", held)):
        error, change = values - there, np.diff(values) - np.diff(there)
        print(
            f"{name:17s} MAE {np.abs(error).mean():.2f}, bias {error.mean():+.2f}, "
            f"error of the change a frame {np.abs(change).mean():.2f}"
        )


def truth(points: np.ndarray, size: tuple[int, int] = SIZE) -> CountResult:
    """Return the result of a perfect model without a density."""
    points = np.column_stack([points[:, :2], np.ones(len(points))]).astype(np.float32)
    return CountResult(
        count=float(len(points)),
        density_count=None,
        peak_count=len(points),
        points=points,
        density=np.zeros((0, 0), np.float32),
        density_stride_xy=(0.0, 0.0),
        regions={},
        overflow=False,
        size=size,
        model="truth",
        backend="none",
    )


if __name__ == "__main__":
    main()
