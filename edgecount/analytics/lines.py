"""Lines with a direction: how many people cross them, and which way."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount._numbers import is_finite
from edgecount.analytics._blend import check_whole, unblended
from edgecount.analytics._checks import check_size, later
from edgecount.analytics._compare import take_image
from edgecount.analytics.flow import FlowAt
from edgecount.analytics.line import Array, Line
from edgecount.analytics.tracks import Steps, Tracker
from edgecount.errors import ConfigError, InputError
from edgecount.manifest import Manifest
from edgecount.regions import SizeWatch
from edgecount.result import CountResult

_log = logging.getLogger(__name__)

_BAND = 0.05  # of the frame's longer side: a line is crossed once its whole band is
# People in 64 x 64 pixels of the network up to which heads are followed, and from which on only the
# crowd as a whole, where steps from frame to frame are some 5 px; for longer ones as many people
# fewer as the squares of the steps: it is the step against the way to a neighbour that matters.
_CELL, _SINGLE, _CROWD = 64, 5.0, 14.0
_LEAST_WEIGHT = 0.05  # of the crowd's flow: for less it is not worth its time
_STEP, _FEWER = 5.0, 8.0  # px of the network, and the factor at the most
_PACE = 1.0  # s over which the steps are averaged
_LEAST = 0.3  # of the band: less of it, of a head that is lost there, is the points' noise
_NOISE = 0.1  # of the band: less of it, of a head that leaves it, is noise as well
_RATE = 5.0  # frames a second that people who walk need
_LATE = 1.15  # times as long from frame to frame as at that rate: a frame is lost now and then
_FRAMES = 20  # whose mean rate is judged
_TOO_FAR = 0.35  # s from frame to frame: people who walk are across a band by then
_STILL = 0.02  # of the longer side a second, below which the crowd at a place stands


@dataclass(frozen=True)
class LineCount:
    """People that have crossed a line since the counter was made.

    Whole people only in the mean: somebody who is half over the band counts by half.

    Attributes:
        into: people that went in.
        out: people that went out.
        dense: share of them that came from the crowd's flow and not from single heads.
    """

    into: float
    out: float
    dense: float

    @property
    def net(self) -> float:
        """People that went in, less those that went out."""
        return self.into - self.out


@dataclass
class _Tally:
    into: float = 0.0
    out: float = 0.0
    dense: float = 0.0

    def add(self, people: float, *, dense: bool) -> None:
        self.into += max(people, 0.0)
        self.out += max(-people, 0.0)
        self.dense += abs(people) * dense


@dataclass
class _Crossing:
    """A head's way through the band of a line.

    Attributes:
        start: where it came into the band, or was seen first, in shares of it from its middle.
        now: where it is.
        counted: steps beside the line, where points stand for people, inwards less outwards.
    """

    start: float
    now: float
    counted: float = 0.0

    @property
    def part(self) -> float:
        """Share of a person that has crossed, negative outwards: whoever turns back has not.

        It is no more than the way from the start: of a step out past the line's end and the one
        back only one may count, and of many such the sum has no bound.
        """
        whole = self.now - self.start
        return min(max(self.counted, min(whole, 0.0)), max(whole, 0.0))


class LineCounter:
    """A counter of the people that cross lines.

    A line is a band as wide as a stride, and a person crosses it in parts: each step adds the
    share of the band that it covers. So somebody who stands on the line, or turns back, adds
    nothing, whatever the noise of the points, and nobody is counted twice.

    Where people are few, steps are those of head points that are found again in the next frame
    (`Tracker`). Where they are many, it is the density times the crowd's motion, by dense optical
    flow (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016, in OpenCV):
    the people in the band times their speed across it, over its width. The two are blended by the
    local density, as counts are, from 5 to 14 people in 64 x 64 pixels of the network, or fewer
    where they move fast.

    Args:
        lines: the lines.
        size: (width, height) of the frames in pixels; None: that of the first. Where it changes,
            counting goes on: lines in fractions stay where they are in the scene, of lines in
            pixels a warning is logged. Who is on a line then is counted by what was crossed.
        manifest: the model's, ``counter.manifest``, which says how density and points are blended;
            None: for models that give one of the two, or head points alone (``image``).
        band: width of the bands in shares of the frame's longer side; None: a twentieth.

    Raises:
        ConfigError: there is no line, two have one name, the band is no share, or the size no size.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        size: tuple[int, int] | None = None,
        *,
        manifest: Manifest | None = None,
        band: float | None = None,
    ) -> None:
        names = [line.name for line in lines]
        if not lines or len(set(names)) < len(names):
            raise ConfigError(f"lines: expected one or more, each with its own name, got {names}")
        if band is not None and not (is_finite(band) and 0 < band < 1):
            raise ConfigError(
                f"band: expected a share of the frame's longer side, above 0 and below 1, got "
                f"{band!r}"
            )
        self.lines = tuple(lines)
        self._manifest = manifest
        self._share = _BAND if band is None else band
        self._sizes = SizeWatch(self.lines)
        self._time: float | None = None
        self._tallies = {line.name: _Tally() for line in lines}
        # Of heads in a band, by their number and the line.
        self._progress: dict[tuple[int, str], _Crossing] = {}
        self._passed: list[float] | None = []  # s from frame to frame; None: they were told of
        self._told: set[str] = set()  # lines at the frame's edge
        self.size: tuple[int, int] | None = None
        if size is not None:
            self._resize(check_size(size))

    def update(
        self, time: float, result: CountResult, image: NDArray[np.uint8] | None = None
    ) -> dict[str, LineCount]:
        """Take a frame, and return the counts of each line so far.

        Fewer than five frames a second are too few for people who walk, and the log says so, once.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            result: its result.
            image: the frame, uint8 (H, W, 3) BGR, for the flow of dense crowds; None: head points
                alone.

        Raises:
            InputError: the time is before the last one, the model gives no head points and there is
                no image, it gives a density as well and there is an image and no manifest, or the
                points are cut off: see `EdgeCounter` on ``capacity``.
        """
        check_whole(result)
        passed = later(time, self._time)
        first, self._time = self._time is None, time
        if not first:
            self._check_rate(passed)
        if result.size != self.size:
            self._resize(result.size)
        if image is None and result.peak_count is None:
            raise InputError(
                f"image: expected the frame, got None: {result.model} gives no head points, and "
                "lines are counted by the crowd's motion alone"
            )
        weights = None
        if image is not None:
            image = take_image(image)
            weights = _density_weights(result, self._manifest, self._step)
        near = self._near(result.points[:, :2].astype(np.float64))
        steps = self._tracker.update(time, result.points[:, :2][near])
        self._add_heads(steps, weights, result)
        if image is not None and weights is not None:
            self._add_flow(image, weights, result, 0.0 if first else passed)
        return self.counts()

    def counts(self, *, crossing: bool = True) -> dict[str, LineCount]:
        """Return the counts of each line so far.

        Args:
            crossing: whether those who are crossing it now are included in part, which is taken
                back if they turn round. Without them counts never fall.
        """
        found = {}
        for line in self.lines:
            tally = self._tallies[line.name]
            # Less is the points' noise: somebody who stands there has crossed nothing.
            parts = [one.part for (_, name), one in self._progress.items() if name == line.name]
            begun = [part for part in parts if crossing and abs(part) >= _LEAST]
            into = tally.into + sum(part for part in begun if part > 0)
            out = tally.out - sum(part for part in begun if part < 0)
            found[line.name] = LineCount(into, out, tally.dense / max(into + out, 1e-9))
        return found

    def _resize(self, size: tuple[int, int]) -> None:
        """Begin anew at another frame size, with what has been counted."""
        self._sizes.see(size)
        self.size = size
        self._drawn = tuple(line.in_size(size) for line in self.lines)
        self._band = self._share * max(size)
        self._tracker = Tracker(size)
        self._flow = FlowAt(size)
        self._step = 0.0  # px from frame to frame of those who move in a crowd
        for number, name in list(self._progress):
            self._settle(number, name)
        for line in self._drawn:
            if line.name not in self._told:
                self._check_place(line, size)

    def _check_place(self, line: Line, size: tuple[int, int]) -> None:
        """Warn of a line so near the frame's edge that nobody is seen to cross its whole band."""
        # By its middle: ends may lie on the edge, as of lines across the whole picture.
        sides = (line.start + line.end) / 2 + np.outer([-0.5, 0.5], line.inwards * self._band)
        if ((sides < 0) | (sides > np.array(size))).any():
            self._told.add(line.name)
            _log.warning(
                "line %s: it is nearer than %.0f px to the frame's edge, where people are not "
                "seen on both sides of it, and fewer are counted: move it into the picture, or "
                "give a smaller band",
                line.name,
                self._band / 2,
            )

    def _check_rate(self, passed: float) -> None:
        """Warn, once, of frames between which people cross a line unseen."""
        if self._passed is None:
            return
        self._passed.append(passed)
        if len(self._passed) < _FRAMES:
            return
        # Without the longest, and long ones cut: a camera that was away at times is no slow one.
        judged = [min(gap, 1.0) for gap in sorted(self._passed)[:-1]]
        rate = 1 / max(float(np.median(self._passed)), 1e-9)
        if (_FRAMES - 1) / max(sum(judged), 1e-9) * _LATE >= _RATE:
            self._passed.clear()
            return
        self._passed = None
        _log.warning(
            "lines: %.1f frames a second are counted, and people who walk need %.0f: some are "
            "missed; a smaller model, a smaller max_side, fewer frames left out, or a source or "
            "rate that gives more of them help",
            rate,
            _RATE,
        )

    def _settle(self, number: int, name: str) -> None:
        """Count a head that is not followed any more by what it has crossed of a line's band."""
        one = self._progress.pop((number, name), None)
        if one is not None and abs(one.part) >= _LEAST:
            self._tallies[name].add(one.part, dense=False)

    def _near(self, points: Array) -> NDArray[np.bool_]:
        """Return which points may be in a band within a few frames: the others are not followed."""
        found = np.zeros(len(points), bool)
        for line in self._drawn:
            middle = (line.start + line.end) / 2
            reach = line.length / 2 + 3 * self._band
            found |= (np.abs(line.side(points)) < 3 * self._band) & (
                np.linalg.norm(points - middle, axis=1) < reach
            )
        return found

    def _add_heads(
        self, steps: Steps, weights: NDArray[np.float32] | None, result: CountResult
    ) -> None:
        half = self._band / 2
        middles = (steps.before + steps.now) / 2
        shares = np.ones(len(middles))
        if weights is not None:
            shares -= _at(weights, middles, result.density_stride_xy)
        for line in self._drawn:
            before, now = (
                np.clip(line.side(at), -half, half) / self._band for at in (steps.before, steps.now)
            )
            counted = shares * line.beside(middles)
            moved = np.flatnonzero(before != now)
            columns = steps.ids[moved], before[moved], now[moved], counted[moved]
            for number, start, end, share in zip(*(c.tolist() for c in columns), strict=True):
                one = self._progress.setdefault((number, line.name), _Crossing(start, end))
                one.now = end
                one.counted += (end - start) * share
            over = set(steps.ids[np.abs(now) >= 0.5].tolist())
            for key in [key for key in self._progress if key[1] == line.name and key[0] in over]:
                part = self._progress.pop(key).part
                if abs(part) >= _NOISE:
                    self._tallies[line.name].add(part, dense=False)
            for number in steps.lost.tolist():
                self._settle(number, line.name)

    def _add_flow(
        self,
        image: NDArray[np.uint8],
        weights: NDArray[np.float32],
        result: CountResult,
        passed: float,
    ) -> None:
        crowd = weights * result.density
        rows, columns = np.nonzero(crowd > 0)
        middles = (np.column_stack([columns, rows]) + 0.5) * np.array(result.density_stride_xy)
        people = crowd[rows, columns].astype(np.float64)
        bands = [
            (np.abs(line.side(middles)) <= self._band / 2) & line.beside(middles)
            for line in self._drawn
        ]
        moved = self._flow.update(image, [middles[band] for band in bands])
        if moved is None or not 0 < passed <= _TOO_FAR:
            return
        lengths = [np.zeros(1)]
        for line, band, steps in zip(self._drawn, bands, moved, strict=True):
            across = steps @ line.inwards
            across[np.abs(across) < _STILL * max(result.size) * passed] = 0.0
            lengths += [np.abs(across[across != 0])]
            parts = people[band] * across / self._band
            for direction in (parts[parts > 0], parts[parts < 0]):
                self._tallies[line.name].add(float(direction.sum()), dense=True)
        share = -math.expm1(-passed / _PACE)
        self._step += share * (float(np.percentile(np.concatenate(lengths), 75)) - self._step)


def _density_weights(
    result: CountResult, manifest: Manifest | None, step: float
) -> NDArray[np.float32] | None:
    """Return the weight of the density against the points in each cell; None: points alone.

    Args:
        result: the frame's result.
        manifest: the model's.
        step: px of the frame that people in a crowd go from frame to frame.

    Raises:
        InputError: both are there, and no manifest tells how they are blended.
    """
    if not result.density.size:
        return None
    if result.peak_count is None:
        return np.ones_like(result.density)
    if manifest is None:
        raise unblended(result)
    stride = next(output.stride for output in manifest.outputs if output.role == "density")
    side = max(_CELL // stride, 1)
    sums = cv2.boxFilter(
        result.density, -1, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT_101
    )
    in_network = step * stride / result.density_stride_xy[0]
    sums = sums * np.float32(min(max(in_network / _STEP, 1.0) ** 2, _FEWER))
    share = np.clip((sums - _SINGLE) / (_CROWD - _SINGLE), 0, 1)
    weights: NDArray[np.float32] = (share * share * (3 - 2 * share)).astype(np.float32)
    weights[weights < _LEAST_WEIGHT] = 0.0
    return weights


def _at(cells: NDArray[np.float32], points: Array, stride: tuple[float, float]) -> Array:
    """Return the cells' values at (N, 2) points in pixels of the frame."""
    rows, columns = cells.shape
    column = np.clip((points[:, 0] / stride[0]).astype(np.int64), 0, columns - 1)
    row = np.clip((points[:, 1] / stride[1]).astype(np.int64), 0, rows - 1)
    values: Array = cells[row, column].astype(np.float64)
    return values
