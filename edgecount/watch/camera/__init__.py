"""A watched camera: its pictures, their analysis, its alarms, and the picture for viewers."""

from edgecount.watch.camera.camera import Camera
from edgecount.watch.camera.view import Picture

__all__ = ["Camera", "Picture"]
