"""A watched camera: its pictures, what they mean, its alarms, and its view for who looks."""

from edgecount.watch.camera.camera import Camera
from edgecount.watch.camera.view import Picture, encode

__all__ = ["Camera", "Picture", "encode"]
