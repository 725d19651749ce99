"""The newest picture of a camera, for viewers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgecount._jpeg import encode_jpeg
from edgecount.analytics import pixelate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.drawing import GroundView, HeatScale
    from edgecount.result import CountResult
    from edgecount.watch.camera.analysis import Analysis
    from edgecount.watch.readings import Reading

    Image = NDArray[np.uint8]

_MOST = 8  # JPEGs of a picture that are kept: sets of layers and widths


class Picture:
    """A counted picture, which is pixelated, annotated and encoded once, on demand.

    Any thread may use it.

    Args:
        reading: its reading.
        image: uint8 (H, W, 3) BGR, as the camera gave it.
        counted: its result, also if it cannot be trusted: where heads are.
        pixelated: whether heads are pixelated in all that is shown.
        analysis: what is drawn besides.

    Attributes:
        reading: its reading.
        original: the picture as the camera gave it: not to be shown.
    """

    def __init__(
        self,
        reading: Reading,
        image: Image,
        counted: CountResult,
        *,
        pixelated: bool,
        analysis: Analysis,
    ) -> None:
        self.reading = reading
        self.original = image
        self._counted, self._analysis = counted, analysis
        self._image = None if pixelated else image
        self._lock = threading.Lock()  # of what is encoded
        self._pixelating = threading.Lock()  # who counts must not wait for what is encoded
        self._jpegs: dict[tuple[frozenset[str], int | None], bytes] = {}

    def image(self) -> Image:
        """Return the picture as it may be shown or stored, uint8 (H, W, 3) BGR."""
        with self._pixelating:
            if self._image is None:
                self._image = pixelate(self.original, self._counted)
            return self._image

    def jpeg(self, layers: Iterable[str] = (), width: int | None = None) -> bytes:
        """Return the picture as JPEG.

        Args:
            layers: what is drawn over it; see `draw_overlay`.
            width: wider pictures are shrunk to so many pixels; None: as wide as it is.

        Raises:
            ConfigError: there is no such layer.
        """
        key = frozenset(layers), width
        with self._lock:
            if key not in self._jpegs:
                if len(self._jpegs) >= _MOST:
                    self._jpegs.clear()
                self._jpegs[key] = encode_jpeg(self._drawn(key[0]), width)
            return self._jpegs[key]

    def _drawn(self, layers: frozenset[str]) -> Image:
        image = self.image()
        return draw_over(image, self.reading, self._analysis, layers) if layers else image


def draw_over(
    image: Image,
    reading: Reading,
    analysis: Analysis,
    layers: Iterable[str] | None = None,
    scale: HeatScale | None = None,
) -> Image:
    """Return a picture with its reading drawn over it; as it is if it cannot be trusted.

    Args:
        image: uint8 (H, W, 3) BGR.
        reading: its reading, with its result.
        analysis: has the regions, the lines and the ground.
        layers: what is drawn; None: everything. See `draw_overlay`.
        scale: density of the hottest colour.

    Raises:
        ConfigError: there is no such layer.
    """
    from edgecount.analytics import LineCount
    from edgecount.drawing import LAYERS, draw_overlay

    result = reading.result
    if result is None:
        return image
    alarm, reason = analysis.alarms.banner(reading.alarms) or (None, None)
    crossed = {name: LineCount(one.into, one.out, 0.0) for name, one in reading.lines.items()}
    return draw_overlay(
        image,
        result,
        regions=analysis.regions,
        lines=analysis.lines,
        crossed=crossed,
        ground=_ground(analysis, result.size),
        alarm=alarm,
        reason=reason,
        scale=scale,
        layers=LAYERS if layers is None else layers,
    )


def _ground(analysis: Analysis, size: tuple[int, int]) -> GroundView | None:
    from edgecount.drawing import GroundView

    rectangle = analysis.ground.rectangle
    if rectangle is None:
        return None
    extent = (0.0, 0.0, rectangle.width, rectangle.depth)
    return GroundView(rectangle.in_size(size), extent=extent)
