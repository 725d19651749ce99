"""Head points in the forms that other libraries take."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount._numbers import is_finite, is_number
from edgecount.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from supervision import Detections

_OF_SPACING = 0.4  # radius of a head, by the distance to its neighbours: there are shoulders, too
_SMALLEST, _LARGEST = 0.006, 0.03  # radius, of the frame's longer side
_AT_ONCE = 1024  # rows of a table of distances: the square of thousands would take gigabytes


def neighbour_distance(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the distance of each point to the second nearest other one.

    Args:
        points: (N, 2), x and y in pixels.

    Returns:
        (N,), pixels; infinity where there are fewer than three points.
    """
    points = points.astype(np.float64)
    if len(points) < 3:
        return np.full(len(points), np.inf)
    found = np.empty(len(points))
    for first in range(0, len(points), _AT_ONCE):
        part = points[first : first + _AT_ONCE]
        squares = ((part[:, None] - points[None]) ** 2).sum(2)
        found[first : first + _AT_ONCE] = np.sqrt(np.partition(squares, 2, axis=1)[:, 2])
    return found


def head_boxes(
    points: NDArray[np.float32], size: tuple[int, int], radius: float | None
) -> NDArray[np.float32]:
    """Return squares around heads, which may reach beyond the frame.

    Args:
        points: (N, 2 or more): x and y in pixels.
        size: (width, height) of the frame in pixels.
        radius: half a side in pixels; None: guessed of the distance to the neighbours, and of the
            frame's size where somebody stands alone.

    Returns:
        float32 (N, 4): left, top, right and bottom in pixels.

    Raises:
        ConfigError: the radius is not a number above 0.
    """
    if radius is None:
        limits = _SMALLEST * max(size), _LARGEST * max(size)
        radii = np.clip(_OF_SPACING * neighbour_distance(points[:, :2]), *limits)[:, None]
    elif is_finite(radius) and radius > 0:
        radii = np.full((len(points), 1), float(radius))
    else:
        raise ConfigError(f"radius: expected pixels above 0, or None, got {radius!r}")
    middles = points[:, :2].astype(np.float64)
    return np.hstack([middles - radii, middles + radii]).astype(np.float32)


def detections(
    points: NDArray[np.float32], boxes: NDArray[np.float32], about: dict[str, Any]
) -> Detections:
    """Return heads as `supervision.Detections`.

    Args:
        points: (N, 3): x, y and score.
        boxes: (N, 4): left, top, right and bottom in pixels.
        about: values that go with every head, by name.

    Raises:
        MissingExtraError: supervision is not installed.
    """
    try:
        import supervision
    except ModuleNotFoundError as error:
        if error.name != "supervision":
            raise
        raise MissingExtraError(
            "supervision", "", "for to_supervision()", packages=["supervision"]
        ) from None
    number = len(points)
    named = {"class_name": "head"} | about
    return supervision.Detections(
        xyxy=boxes,
        confidence=points[:, 2].astype(np.float32),
        class_id=np.zeros(number, np.int64),
        data={name: np.array([value] * number) for name, value in named.items()},
    )


def coco_results(
    points: NDArray[np.float32],
    boxes: NDArray[np.float32] | None,
    image_id: int | str,
    category_id: int,
) -> list[dict[str, Any]]:
    """Return heads as COCO's results for keypoints, of which each has one, and for boxes.

    Args:
        points: (N, 3): x, y and score.
        boxes: (N, 4): left, top, right and bottom in pixels; None: there are none.
        image_id: the image's id in the COCO file.
        category_id: the category's.

    Raises:
        ConfigError: an id is none.
    """
    ids = {
        "image_id": _coco_id("image_id", image_id),
        "category_id": _coco_id("category_id", category_id),
    }
    # 1/100 pixel and 1/10,000 of a score: float32 digits past that are noise. 2 is "visible".
    results = [
        {**ids, "keypoints": [round(x, 2), round(y, 2), 2], "score": round(score, 4)}
        for x, y, score in points.tolist()
    ]
    for result, (left, top, right, bottom) in zip(results, _rows(boxes), strict=boxes is not None):
        sides = left, top, right - left, bottom - top
        result["bbox"] = [round(side, 2) for side in sides]
    return results


def _rows(boxes: NDArray[np.float32] | None) -> list[list[float]]:
    return [] if boxes is None else boxes.tolist()


def _coco_id(name: str, value: object) -> int | str:
    if is_number(value, Integral):
        return int(value)  # NumPy's are none of JSON's
    if isinstance(value, str) and value:
        return value
    raise ConfigError(f"{name}: expected a COCO id, a whole number, got {value!r}")
