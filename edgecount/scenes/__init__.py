"""Procedural crowd scenes with known truth, for the demo, tests and training.

Everything is drawn with NumPy and OpenCV from one seed.
"""

from __future__ import annotations

from edgecount._opencv import load_cv2

load_cv2()  # before the modules that import it: its error says what to install

from edgecount.scenes.clip import render_clip  # noqa: E402
from edgecount.scenes.scene import Scene, render_scene  # noqa: E402

__all__ = ["Scene", "render_clip", "render_scene"]
