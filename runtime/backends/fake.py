"""A backend without an engine, to test what is built around edgecount."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edgecount.errors import BackendError, ConfigError
from edgecount.runtime.backends.base import Backend

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from edgecount.manifest import Manifest

People: TypeAlias = "ArrayLike | Callable[[NDArray[np.float32]], ArrayLike]"

_SCORE = 0.9  # above every threshold that makes sense


class FakeBackend(Backend):
    """A backend that sees the people it is given, so that exactly as many are counted.

    It gives maps of the model's own layout, so that all that follows the engine (peaks, fusion,
    regions, results) is the real thing and repeatable:

        counter = EdgeCounter(backend=FakeBackend([(100, 80), (300, 200)]))
        assert counter.count(np.zeros((480, 640, 3), np.uint8)).count == 2

    Args:
        people: (N, 2) points x, y in pixels of the network's input, which are those of the source
            unless the frame is longer than the model's `max_side`; or a function that is given the
            image tensor, float32 (B, 3, H, W), and returns such points, to move people from frame
            to frame. Frames processed in tiles (over 2048 x 2048 pixels) see them in every tile,
            and those that are zoomed into in every region.
        manifest: the layout of the maps; None: that of the counter's model.

    Attributes:
        calls: how often `infer` has run.
    """

    name = "fake"

    def __init__(self, people: People = (), *, manifest: Manifest | None = None) -> None:
        self.people = people
        self.calls = 0
        self._lock = threading.Lock()
        self._manifest = manifest
        if not callable(people):
            _check_people(people)

    def prepare(self, manifest: Manifest) -> None:
        """Take the layout of the counter's model."""
        self._manifest = manifest

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return maps with the people in them; see `Backend.infer`."""
        if self._manifest is None:
            raise BackendError("FakeBackend: pass it to an EdgeCounter, or give it a manifest")
        with self._lock:
            self.calls += 1
        image = inputs[self._manifest.input.name]
        points = _check_people(self.people(image) if callable(self.people) else self.people)
        batch, _, height, width = image.shape
        if ((points < 0) | (points >= (width, height))).any():
            raise ConfigError(f"FakeBackend: people outside the {width} x {height} network input")
        maps = draw_maps(points, height, width, self._manifest)
        return {name: np.repeat(value[None], batch, axis=0) for name, value in maps.items()}

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def __getstate__(self) -> dict[str, Any]:
        """Return what goes to another process, such as an actor of Ray: all but the lock."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def _check_people(people: ArrayLike) -> NDArray[np.float64]:
    try:
        points = np.asarray(people, np.float64)
    except (TypeError, ValueError):
        raise ConfigError(
            f"FakeBackend: expected people as finite points (N, 2), got {people!r}"
        ) from None
    if points.size == 0:
        return np.empty((0, 2))
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ConfigError(
            f"FakeBackend: expected people as finite points (N, 2), got shape {points.shape}"
        )
    return points


def draw_maps(
    points: NDArray[np.float64], height: int, width: int, manifest: Manifest
) -> dict[str, NDArray[np.float32]]:
    """Return a model's maps of one image, without the batch, with people in them.

    Args:
        points: (N, 2) x, y in pixels of the network's input.
        height: of that input in pixels.
        width: of that input in pixels.
        manifest: the layout of the maps.
    """
    maps = {
        output.name: np.zeros(
            (output.channels, height // output.stride, width // output.stride), np.float32
        )
        for output in manifest.outputs
    }
    if manifest.levels():
        _draw_boxes(maps, points, manifest)
        return maps
    heatmap, density = manifest.output("heatmap"), manifest.output("density")
    offset = manifest.output("offset")
    # Each person's density lies where its peak is, so that every fusion cell agrees with itself.
    spots: NDArray[np.floating[Any]] = points
    if heatmap is not None:
        scores = maps[heatmap.name][0]
        cells = _place(points / heatmap.stride, scores.shape, manifest.postprocess.window)
        scores[tuple(cells.T)] = _SCORE
        spots = (cells[:, ::-1] + 0.5) * heatmap.stride
        if offset is not None:
            shift = points / heatmap.stride - cells[:, ::-1]
            maps[offset.name][:, cells[:, 0], cells[:, 1]] = shift.T
    if density is not None:
        columns, rows = (spots // density.stride).astype(np.intp).T
        np.add.at(maps[density.name][0], (rows, columns), density.unit)
    return maps


def _draw_boxes(
    maps: dict[str, NDArray[np.float32]], points: NDArray[np.float64], manifest: Manifest
) -> None:
    """Give each person a cell of the finest level as a box: no two of them overlap."""
    scores, boxes = manifest.levels()[0]
    shape = maps[scores.name].shape[1:]
    rows, columns = _place(points / scores.stride, shape, 1).T
    maps[scores.name][0, rows, columns] = _SCORE
    maps[boxes.name][:4] = 0.5


def _place(points: NDArray[np.float64], shape: tuple[int, ...], window: int) -> NDArray[np.intp]:
    """Return (N, 2) row and column of a heatmap cell for each point.

    It is the point's own cell, or the nearest one outside the NMS windows of other people.
    """
    free = np.ones(shape, np.bool_)
    rows, columns = np.indices(shape)
    # Cells beyond the last person may be padding, which is cropped: take them only if need be.
    last = np.floor(points).max(axis=0, initial=0)
    beyond = 1e6 * ((columns > last[0]) | (rows > last[1]))
    reach = window // 2
    placed = np.empty((len(points), 2), np.intp)
    for index, (x, y) in enumerate(points):
        row, column = int(y), int(x)
        if not free[row, column]:
            distance = np.hypot(rows + 0.5 - y, columns + 0.5 - x) + beyond
            distance[~free] = np.inf
            row, column = divmod(int(distance.argmin()), shape[1])
            if not free[row, column]:
                raise ConfigError(
                    f"FakeBackend: no room for {len(points)} people in a map of "
                    f"{shape[0]} x {shape[1]} cells: use fewer people or a larger frame"
                )
        placed[index] = row, column
        free[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = 0
    return placed
