"""Cameras with a script, to test what is built around edgecount without a camera.

from edgecount import EdgeCounter
from edgecount.fake import Drop, FakeCamera, HeadBackend, Show

camera = FakeCamera([Show(5, people=20), Drop(3), Show(2, people=21)], speed=10)
with EdgeCounter(backend=HeadBackend()) as counter:
for result in counter.stream(camera):
assert result.count == camera.people_in(result)
"""

from __future__ import annotations

from edgecount.fake.backend import HeadBackend
from edgecount.fake.camera import FakeCamera
from edgecount.fake.script import Cover, Drop, Freeze, Hang, Resize, Show, Step, Still

__all__ = [
    "Cover",
    "Drop",
    "FakeCamera",
    "Freeze",
    "Hang",
    "HeadBackend",
    "Resize",
    "Show",
    "Step",
    "Still",
]
