"""Procedural crowd scenes with known truth, for the demo, tests and training.

Everything is drawn with NumPy and OpenCV from one seed.
"""

from __future__ import annotations

from edgecount.scenes.clip import render_clip
from edgecount.scenes.scene import Scene, render_scene

__all__ = ["Scene", "render_clip", "render_scene"]
