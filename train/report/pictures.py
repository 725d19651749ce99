"""Images of a report: which heads were found, and where the density is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.drawing import HeatScale, draw_overlay
from edgecount.drawing._labels import draw_legend
from edgecount.drawing._marks import SHIFT, fixed, ring_radii
from edgecount.errors import OutputError
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.counting import count_sample
from edgecount.train.evaluate.evaluation import head_radii
from edgecount.train.evaluate.metrics import match_pairs

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter
    from edgecount.train.evaluate.evaluation import ImageRecord

Image = NDArray[np.uint8]
Points = NDArray[np.float64]
Colour = tuple[int, int, int]

# BGR of Okabe and Ito's colours; the shapes differ as well.
FOUND: Colour = (233, 180, 86)  # sky blue
MISSED: Colour = (66, 228, 240)  # yellow
WRONG: Colour = (167, 121, 204)  # purple
TRUTH: Colour = MISSED
_DARK: Colour = (24, 20, 18)
_SMALLEST, _LARGEST = 640, 1000  # px of the longer side
_LARGE = 3  # px, a radius from which marks are drawn in bolder lines
_FARTHEST = 30_000  # px that OpenCV draws to
_CAPITAL, _MARGIN = 9, 8  # px, of the legend
_QUALITY = 88


def choose(
    images: Sequence[ImageRecord], worst: int = 3, best: int = 3
) -> tuple[list[int], list[int]]:
    """Return the indices of the images with the largest errors, and of those with the smallest.

    The smallest are relative to the people in the image, and of images with people where there
    are enough: that nobody was seen in an empty street says little. No image is in both.
    """
    by_error = sorted(range(len(images)), key=lambda i: -abs(images[i].error))
    chosen = by_error[:worst]
    rest = sorted(
        by_error[worst:],
        key=lambda i: (not images[i].true, abs(images[i].error) / max(images[i].true, 1)),
    )
    return chosen, rest[:best]


def draw_image(counter: EdgeCounter, sample: Sample) -> bytes:
    """Count an image again and draw it: heads on the left, density on the right, as a JPEG.

    Photographs are several times larger as PNG, and a page holds many.

    Raises:
        SourceError: the image cannot be read.
    """
    image = sample.image()
    result = count_sample(counter, sample, image)
    panels = [draw_heads(image, result, sample)]
    if result.density.size:
        panels.append(draw_density(image, result))
    gap = np.full((panels[0].shape[0], 8, 3), 255, np.uint8)
    whole = panels[0] if len(panels) == 1 else np.hstack([panels[0], gap, panels[1]])
    encoded, data = cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not encoded:
        raise OutputError(f"cannot draw {sample.path}: OpenCV does not encode JPEG here")
    return data.tobytes()


def draw_density(image: Image, result: CountResult) -> Image:
    """Draw the density as heat, with its legend, over an image (H, W, 3), BGR.

    Returns:
        A new picture, of a size for a page.
    """
    scale = HeatScale.fit(result)
    canvas = _resized(draw_overlay(image, result, scale=scale, layers=["heat"]), _scale(image))
    # After the change of size: letters of a readable size would cover a small image.
    draw_legend(canvas, scale, _CAPITAL, _MARGIN)
    return canvas


def draw_heads(image: Image, result: CountResult, sample: Sample) -> Image:
    """Draw circles on heads that a point found, squares on missed ones, crosses on other points.

    Of a detector boxes are drawn: that of a found head, with the annotated one as a thin line; the
    annotated one of a missed head, or a square where the set has none; and, crossed out, boxes
    without a head. Heads are found by the boxes' centres, as the precision and recall on the page
    have it. Without points from the model all heads are dots.

    Args:
        image: uint8 (H, W, 3) BGR, the sample's.
        result: the model's count of it.
        sample: the truth.

    Returns:
        A new picture, of a size for a page.
    """
    scale = _scale(image)
    canvas = _resized(image, scale)
    heads = sample.points.astype(np.float64) * scale
    size = (canvas.shape[1], canvas.shape[0])
    radii = ring_radii(size, heads.astype(np.float32))
    if result.peak_count is None:
        _draw(canvas, heads, radii, TRUTH, _dot)
        return canvas
    points = result.points[:, :2].astype(np.float64)
    matched, found = match_pairs(points, sample.points, head_radii(sample))
    missed = np.delete(np.arange(len(heads)), found)
    if result.boxes is None:
        wrong = np.delete(points, matched, axis=0) * scale
        _draw(canvas, heads[found], radii[found], FOUND, _circle)
        _draw(canvas, heads[missed], radii[missed], MISSED, _square)
        _draw(canvas, wrong, ring_radii(size, wrong.astype(np.float32)), WRONG, _cross)
        return canvas
    boxes = result.boxes * scale
    _outline(canvas, boxes[matched], FOUND)
    if sample.boxes is not None:
        _outline(canvas, sample.boxes[found] * scale, TRUTH, thin=True)
    _outline(canvas, np.delete(boxes, matched, axis=0), WRONG, crossed=True)
    if sample.boxes is not None:
        _outline(canvas, sample.boxes[missed] * scale, MISSED)
    else:
        _draw(canvas, heads[missed], radii[missed], MISSED, _square)
    return canvas


def _outline(
    canvas: Image,
    boxes: NDArray[np.floating],
    colour: Colour,
    *,
    thin: bool = False,
    crossed: bool = False,
) -> None:
    """Outline (N, 4) boxes, left, top, right, bottom in canvas px, beside a dark line.

    A thin one has none: it would hide the box that it is compared with.
    """
    # Whole pixels, without smoothing: thin lines would be pale.
    limited = np.clip(boxes, -_FARTHEST, _FARTHEST)
    corners = (np.rint(limited).astype(int) - (0, 0, 1, 1)).tolist()
    for paint, outline in ((colour, 0),) if thin else ((_DARK, 2), (colour, 0)):
        for left, top, right, bottom in corners:
            small = min(right - left, bottom - top) <= 2 * _LARGE
            line = outline + (1 if thin or small else 2)
            low, high = (left, top), (right, bottom)
            cv2.rectangle(canvas, low, high, paint, line)
            if crossed:
                cv2.line(canvas, low, high, paint, line, cv2.LINE_AA)
                cv2.line(canvas, (left, bottom), (right, top), paint, line, cv2.LINE_AA)


def _scale(image: Image) -> float:
    longer = float(max(image.shape[:2]))
    return min(max(longer, _SMALLEST), _LARGEST) / longer


def _resized(image: Image, scale: float) -> Image:
    width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.array(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)


Mark = Callable[[Image, int, int, int, Colour, int], None]


def _draw(canvas: Image, points: Points, radii: Points, colour: Colour, mark: Mark) -> None:
    """Draw marks with a dark outline, which show on any ground; x, y are continuous pixels."""
    places = fixed(points).tolist()
    fixed_radii = np.rint(radii * (1 << SHIFT)).astype(int).tolist()
    for paint, outline in ((_DARK, 2), (colour, 0)):
        for (x, y), radius in zip(places, fixed_radii, strict=True):
            line = 2 if radius > _LARGE << SHIFT else 1
            mark(canvas, x, y, radius, paint, line + outline)


def _dot(canvas: Image, x: int, y: int, radius: int, colour: Colour, line: int) -> None:
    cv2.circle(canvas, (x, y), (radius * (line + 2)) // 8, colour, -1, cv2.LINE_AA, SHIFT)


def _circle(canvas: Image, x: int, y: int, radius: int, colour: Colour, line: int) -> None:
    cv2.circle(canvas, (x, y), radius, colour, line, cv2.LINE_AA, SHIFT)


def _square(canvas: Image, x: int, y: int, radius: int, colour: Colour, line: int) -> None:
    low, high = (x - radius, y - radius), (x + radius, y + radius)
    cv2.rectangle(canvas, low, high, colour, line, cv2.LINE_AA, SHIFT)


def _cross(canvas: Image, x: int, y: int, radius: int, colour: Colour, line: int) -> None:
    for slope in (-1, 1):
        start = (x - radius, y - slope * radius)
        end = (x + radius, y + slope * radius)
        cv2.line(canvas, start, end, colour, line, cv2.LINE_AA, SHIFT)
