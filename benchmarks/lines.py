"""Measure crossings of lines on rendered clips whose people are known.

    python benchmarks/lines.py [--model edgecount-s] [--people 10,40,150] [--clips 2] [--seconds 8]
    EDGECOUNT_DATA=../shared/data python benchmarks/lines.py --mall

Walkers cross seven vertical and three horizontal lines of the frame, at ten frames a second. Each
row gives the true crossings of all lines, those counted from the true heads, and those counted from
the model's results; the error is the sum of both directions' errors over the true crossings. The
last column is the time of all lines of a frame in shares of the time of counting it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from edgecount import CountResult, EdgeCounter
from edgecount.analytics import Line, LineCounter
from edgecount.scenes import Scene, render_clip

SIZE = (640, 480)
FPS = 10
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
    options = parser.parse_args()
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
                table[:, 1] += counted(clip, [truth(scene) for scene in clip], None)
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


def truth(scene: Scene) -> CountResult:
    """Return the result of a perfect model without a density."""
    points = np.column_stack([scene.points, np.ones(len(scene.points))]).astype(np.float32)
    return CountResult(
        count=float(len(points)),
        density_count=None,
        peak_count=len(points),
        points=points,
        density=np.zeros((0, 0), np.float32),
        density_stride_xy=(0.0, 0.0),
        regions={},
        overflow=False,
        size=SIZE,
        model="truth",
        backend="none",
    )


if __name__ == "__main__":
    main()
