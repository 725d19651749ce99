"""Overlays: the result of a count, drawn over its frame.

`draw_overlay` paints the density map as a transparent heat layer, dots the head points,
outlines the regions and lines and writes the count; it returns a new picture of the frame's size.
`draw_ground_map` shows the crowd from above. One file per layer: `_heat` (density and its legend's
colours), `_marks` (points and regions), `_lines`, `_map` (of the ground, as `_ground` turns it),
`_alarm`, `_labels` (text in boxes), `_overlay` (the order of the layers).
"""

from edgecount._opencv import load_cv2

load_cv2()  # before the modules that import it: its error says what to install

from edgecount.drawing._ground import GroundView  # noqa: E402
from edgecount.drawing._heat import HeatScale  # noqa: E402
from edgecount.drawing._map import draw_ground_map  # noqa: E402
from edgecount.drawing._overlay import LAYERS, check_layers, draw_overlay  # noqa: E402

__all__ = ["LAYERS", "GroundView", "HeatScale", "check_layers", "draw_ground_map", "draw_overlay"]
