"""The messages of the page's WebSocket, as plain JSON types."""

from __future__ import annotations

import base64
import functools
import math
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount._text import valid_text
from edgecount.watch.shapes import order_of, shapes_version

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.drawing import GroundView
    from edgecount.result import CountResult
    from edgecount.runtime.sources.live import SourceHealth
    from edgecount.watch.page.contract import CameraView, Service
    from edgecount.watch.readings import Event, Reading

LAYERS = frozenset({"points", "density", "map"})
_MOST_POINTS = 5000  # heads that a browser still draws quickly
_WIDEST = 160  # cells of a density grid; a browser blurs them anyway
_MAP_CELLS = 64  # along the longer side of the map
_SPREAD = 1.0  # m that a person is spread over: a level of service is one of an area


def patterns_message(found: Mapping[str, Any], now: float, zone: tzinfo) -> dict[str, Any]:
    """Return what weeks look like with the times that the service's clock shows.

    A browser may be elsewhere, and knows no rules of a zone that it is told the name of only.

    Args:
        found: as `History.patterns` returns it.
        now: UNIX time at which it was found.
        zone: time zone of the service.

    Returns:
        The same and `monday`, when this week began, `zone`, a name of it for people, and of each
        of the busiest hours `local`, as 2026-11-30T08:00.
    """
    moment = datetime.fromtimestamp(now, zone)
    monday = moment.date() - timedelta(days=moment.weekday())
    busiest = [{**one, "local": _minute(one["hour"], zone)} for one in found["busiest"]]
    more = {"monday": f"{monday.isoformat()}T00:00", "zone": _zone_name(moment)}
    return {**found, **more, "busiest": busiest}


def _minute(time: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(time, zone).strftime("%Y-%m-%dT%H:%M")


def _zone_name(moment: datetime) -> str:
    """Return a zone's abbreviation and its difference to UTC, once where they are the same."""
    difference = moment.strftime("%z")
    offset = f"UTC{difference[:3]}:{difference[3:5]}" if difference.strip("+-0") else "UTC"
    name = moment.tzname() or ""
    return f"{name}, {offset}" if name[:1].isalpha() and not name.startswith("UTC") else offset


def series_message(found: Mapping[str, Any], zone: tzinfo) -> dict[str, Any]:
    """Return counts over time with the times that the service's clock shows, of steps of days.

    A day is one of the service's: a browser elsewhere would give it another date.

    Args:
        found: as `History.series` returns it.
        zone: time zone of the service.

    Returns:
        The same and `local`, when each step begins, as 2026-11-30T00:00; None of shorter steps,
        whose times are the browser's.
    """
    is_days = found["step"] >= 86400
    return {**found, "local": [_minute(at, zone) for at in found["time"]] if is_days else None}


def event_message(event: Event) -> dict[str, Any]:
    """Return the message of an event."""
    return {"type": "event", "at": event.time, **event.to_dict()}


def reading_message(
    reading: Reading, layers: Collection[str] = (), view: GroundView | None = None
) -> dict[str, Any]:
    """Return the message of a reading.

    Args:
        reading: the reading.
        layers: what is to be drawn, of "points" (with the boxes of a detector), "density" and
            "map".
        view: ground of the map.
    """
    message = {"type": "reading", "at": round(reading.time, 3), **reading.to_dict()}
    result = reading.result
    if result is None:
        return message
    message["overflow"] = result.overflow
    if "points" in layers:
        message["points"] = _points(result)
        if result.boxes is not None:
            message["boxes"] = _boxes(result.boxes, result.size)
    if "density" in layers and result.density.size:
        message["density"] = _density(result)
    if "map" in layers and view is not None and view.plane.size == result.size:
        message["map"] = _map(result, view)
    return message


def state_message(service: Service, **more: Any) -> dict[str, Any]:
    """Return cameras, their shapes, alarms and health, and how the sinks are doing."""
    return {
        "type": "state",
        "cameras": [_camera(name, view) for name, view in list(service.cameras.items())],
        "sinks": [{**vars(sink), "error": _text(sink.error)} for sink in service.sinks()],
        "history": service.history is not None,
        **more,
    }


def ground_view(
    ground: Mapping[str, Any] | None, size: tuple[int, int] | None
) -> GroundView | None:
    """Return the ground of a camera as the page shows it from above; None if it has none."""
    if not ground or not size:
        return None
    corners = tuple((float(x), float(y)) for x, y in ground["corners"])
    return _ground_view(corners, float(ground["width"]), float(ground["depth"]), size)


@functools.lru_cache(maxsize=64)
def _ground_view(
    corners: tuple[tuple[float, float], ...], width: float, depth: float, size: tuple[int, int]
) -> GroundView:
    from edgecount.analytics import GroundPlane
    from edgecount.drawing import GroundView

    pixels = np.array(corners) * size
    plane = GroundPlane.from_rectangle(pixels, width, depth, size)
    return GroundView(plane, marked=plane.to_metres(pixels)).upright


def _camera(name: str, view: CameraView) -> dict[str, Any]:
    health, reading, shapes, alarms = view.health(), view.latest(), view.shapes(), view.alarms()
    return {
        "id": name,
        "title": _text(view.title),
        "patience": view.config.patience,
        "health": _health(health),
        "reading": None if reading is None else reading_message(reading),
        "alarms": alarms,
        "view": _view(ground_view(shapes.get("ground"), health.size)),
        **shapes,
        "order": {**order_of(shapes), "alarms": [*alarms]},
        "shapes_version": shapes_version(shapes),
    }


def _health(health: SourceHealth) -> dict[str, Any]:
    return {**vars(health), "state": health.state.value, "error": _text(health.error)}


def _view(view: GroundView | None) -> dict[str, Any] | None:
    """Return the map's extent in metres, and the matrix from shares of the frame to metres."""
    if view is None:
        return None
    matrix = view.plane.matrix @ np.diag([*view.plane.size, 1.0])
    marked = [] if view.marked is None else view.marked.tolist()
    return {"extent": list(view.ends), "matrix": matrix.tolist(), "marked": marked}


def _points(result: CountResult) -> list[float]:
    """Return x and y of each head in turn, in shares of the frame."""
    shares = result.points[:_MOST_POINTS, :2] / np.array(result.size, np.float32)
    return [round(value, 4) for value in shares.ravel().tolist()]


def _boxes(boxes: NDArray[np.float32], size: tuple[int, int]) -> list[float]:
    """Return left, top, right and bottom of each head in turn, in shares of the frame."""
    shares = boxes[:_MOST_POINTS] / np.array(size * 2, np.float32)
    return [round(value, 4) for value in shares.ravel().tolist()]


def _density(result: CountResult) -> dict[str, Any]:
    """Return the heat as a grid, the share of the frame that it covers, and its scale."""
    import cv2

    from edgecount.drawing import HeatScale

    scale = HeatScale.fit(result)
    levels = scale.levels(result)
    rows, columns = levels.shape
    width, height = result.density_stride_xy
    covers = [columns * width / result.size[0], rows * height / result.size[1]]
    if columns > _WIDEST:
        size = (_WIDEST, max(1, round(rows * _WIDEST / columns)))
        levels = np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return {**_grid(levels), "covers": covers, "top": scale.top}


def _map(result: CountResult, view: GroundView) -> dict[str, Any]:
    """Return people per square metre as a grid from above, row 0 the farthest."""
    import cv2

    left, near, right, far = view.ends
    cell = max(right - left, far - near) / _MAP_CELLS
    margin = math.ceil(3 * _SPREAD / cell)
    around = (
        left - margin * cell,
        near - margin * cell,
        right + margin * cell,
        far + margin * cell,
    )
    if not result.density.size:
        return {}
    people = view.plane.map_density(result, around, cell)
    people = np.asarray(cv2.GaussianBlur(people, (0, 0), _SPREAD / cell), np.float32)
    inner = people[margin : people.shape[0] - margin, margin : people.shape[1] - margin]
    top = 4.0  # people per square metre of the brightest: level F begins at 2.15
    levels = np.clip(inner * (255.0 / top), 0, 255).astype(np.uint8)
    return {**_grid(levels), "top": top}


def _grid(levels: NDArray[np.uint8]) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(levels).tobytes()).decode("ascii")
    return {"rows": levels.shape[0], "columns": levels.shape[1], "data": data}


def _text(text: str | None) -> str | None:
    return None if text is None else valid_text(text)
