"""Results of counting a frame."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from edgecount._density import LEFT_OUT
from edgecount._heads import coco_results, detections, head_boxes
from edgecount._text import utc_text, valid_text

if TYPE_CHECKING:
    from supervision import Detections

__all__ = ["CountResult", "RegionCount", "Timings"]


class Timings(TypedDict):
    """Wall-clock time of the three steps of one frame, in milliseconds."""

    preprocess: float
    infer: float
    postprocess: float


@dataclass(frozen=True)
class RegionCount:
    """People in one region of the frame.

    Attributes:
        name: the region's name.
        count: the fused estimate, in people; 0 or more.
        density_count: the density map's share of the region; None without a density map.
        peak_count: head points, each weighted by the part of its map cell that the region
            covers, hence not always whole; None of a model that gives a density map alone.
    """

    name: str
    count: float
    density_count: float | None
    peak_count: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return the counts as plain JSON types, without the name."""
        return {key: value for key, value in vars(self).items() if key != "name"}


@dataclass(frozen=True, eq=False, repr=False)
class CountResult:
    """The people in one frame. Its arrays are copies that later frames do not touch.

    Attributes:
        count: the estimate of people in the frame, density and points fused; 0 or more.
        interval: (low, high): the truth lies inside for nine in ten images like those that the
            model was measured on (`manifest.postprocess.interval.coverage`); None: not measured.
        density_count: sum of the density map, which some models have a little below 0 in an empty
            place; None without a density map.
        peak_count: all head points found, also those beyond the capacity; None of a model that
            gives a density map alone.
        points: float32 (N, 3): x and y of each head in source pixels, within
            [0, width] x [0, height], and its score in (0, 1]; in raster order of the heatmap's
            cells, and with zoom from top to bottom. Of a detector they are the centres of its
            boxes, by descending score.
        density: float32 (h, w), people per cell; its sum is `density_count`. (0, 0) without a
            density map. Of a counter with ``density=False``, an object that raises `ConfigError`
            when its values or its shape are used.
        density_stride_xy: width and height of a density cell in source pixels: cell [i, j]
            covers x in [j * width, (j + 1) * width) and y in [i * height, (i + 1) * height).
            (0, 0) without a density map.
        regions: counts by region name, in the order in which the regions were given.
        overflow: True if `points` is cut off at the capacity; the counts are not.
        size: (width, height) of the source frame in pixels.
        source: name of the file, video or camera; None for a bare array.
        frame: index of the frame in its source, from 0; None for a bare array.
        time: seconds since the source's start, 0 for an image; None for a bare array.
        captured: UNIX time in seconds at which a live source's picture reached this machine; None
            for files, images and arrays.
        media_time: presentation time of a video or stream itself, in seconds; it starts anew when
            a camera is opened again. None where there is none.
        model: name of the model.
        backend: name of the engine, such as "onnxruntime".
        precision: kind of numbers that it computed in, such as "float32", "bfloat16" or "int8".
        timings: milliseconds of each step.
        boxes: float32 (N, 4): left, top, right and bottom of the head at each of `points`, in
            source pixels, cut off at the frame's edges; None of a model that gives no boxes.
    """

    count: float
    density_count: float | None
    peak_count: int | None
    points: NDArray[np.float32]
    density: NDArray[np.float32]
    density_stride_xy: tuple[float, float]
    regions: dict[str, RegionCount]
    overflow: bool
    size: tuple[int, int]
    model: str
    backend: str
    precision: str = "float32"
    interval: tuple[float, float] | None = None
    source: str | None = None
    frame: int | None = None
    time: float | None = None
    captured: float | None = None
    media_time: float | None = None
    timings: Timings = field(
        default_factory=lambda: Timings(preprocess=0.0, infer=0.0, postprocess=0.0)
    )
    boxes: NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        """Return the counts and what was counted, without the values of the arrays."""
        interval = self.interval and tuple(round(float(end), 2) for end in self.interval)
        # Of a counter with density=False the density has no shape.
        density = self.density if self.density is LEFT_OUT else self.density.shape
        regions = {name: round(float(one.count), 2) for name, one in self.regions.items()}
        return (
            f"CountResult(count={self.count:.2f}, interval={interval}, points={len(self.points)}, "
            f"density={density}, regions={reprlib.repr(regions)}, size={self.size}, "
            f"source={self.source!r}, frame={self.frame}, model={self.model!r}, "
            f"backend={self.backend!r})"
        )

    def to_dict(self, *, points: bool = False) -> dict[str, Any]:
        r"""Return the result as plain JSON types, without the density map.

        Args:
            points: add the list of [x, y, score] of each head, and that of [left, top, right,
                bottom] where the model gives boxes.

        Returns:
            source (bytes of a path that are no UTF-8 as the text ``\xNN``), frame, time, captured
            (RFC 3339 in UTC), media_time, size (width, height), count, interval, density_count,
            peak_count, regions, overflow, model, backend, precision and timings_ms; points (None
            of a model that gives a density map alone) and boxes if they are asked for.
        """
        heads: dict[str, list[list[float]] | None] = {}
        if points:
            # 1/100 pixel and 1/10,000 of a score: float32 digits past that are noise.
            rows = [[round(x, 2), round(y, 2), round(s, 4)] for x, y, s in self.points.tolist()]
            heads["points"] = None if self.peak_count is None else rows
            if self.boxes is not None:
                heads["boxes"] = [[round(side, 2) for side in box] for box in self.boxes.tolist()]
        timings = cast("dict[str, float]", self.timings)
        return {
            "source": None if self.source is None else valid_text(self.source),
            "frame": self.frame,
            "time": _milliseconds(self.time),
            "captured": None if self.captured is None else utc_text(self.captured),
            "media_time": _milliseconds(self.media_time),
            "size": list(self.size),
            "count": self.count,
            "interval": None if self.interval is None else list(self.interval),
            "density_count": self.density_count,
            "peak_count": self.peak_count,
            **heads,
            "regions": {name: region.to_dict() for name, region in self.regions.items()},
            "overflow": self.overflow,
            "model": self.model,
            "backend": self.backend,
            "precision": self.precision,
            "timings_ms": {step: round(ms, 3) for step, ms in timings.items()},
        }

    def to_supervision(self, *, radius: float | None = None) -> Detections:
        """Return the heads as `supervision.Detections`, for its zones, trackers and annotators.

        Each head is its box, or a square around its point of a model that gives no boxes, with the
        score as its confidence, class 0 ("head"), and in ``data`` the class's name and, if they are
        known, source and frame. By a density map the count of dense crowds is more than its heads:
        see `count`.

        Args:
            radius: half a side of squares in pixels; None: the model's boxes, or else a guess by
                the distance to the neighbours, at most 3% of the frame's longer side.

        Raises:
            MissingExtraError: supervision is not installed.
            ConfigError: the radius is not above 0.
        """
        measured = self.boxes if radius is None else None
        boxes = head_boxes(self.points, self.size, radius) if measured is None else measured.copy()
        about = {"source": self.source, "frame": self.frame}
        found: Detections = detections(
            self.points, boxes, {name: value for name, value in about.items() if value is not None}
        )
        return found

    def to_coco(self, image_id: int | str, *, category_id: int = 1) -> list[dict[str, Any]]:
        """Return the heads as COCO results, which ``COCO.loadRes`` of pycocotools reads.

        Args:
            image_id: the image's id in the COCO file.
            category_id: the id of the category, which has one keypoint; 1 is COCO's person.

        Returns:
            One result per head: image_id, category_id, keypoints ([x, y, 2], in pixels from the
            frame's upper left corner), score and, of a model that gives boxes, bbox ([left, top,
            width, height]). Without boxes, evaluate keypoints (``iouType="keypoints"``) with one
            ``kpt_oks_sigmas`` to match by distance.

        Raises:
            ConfigError: an id is none.
        """
        return coco_results(self.points, self.boxes, image_id, category_id)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
