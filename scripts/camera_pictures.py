"""Draw the pictures of the page about analytics: a line, the ground from above, an alarm.

.venv/bin/python scripts/camera_pictures.py
"""

from pathlib import Path

import cv2
import numpy as np

from edgecount import EdgeCounter
from edgecount.analytics import Alarm, AlarmRule, GroundPlane, Line, LineCounter
from edgecount.drawing import GroundView, draw_overlay
from edgecount.scenes import render_clip, render_scene
from edgecount.scenes.stage import Setting, set_stage

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE = (960, 540)
FPS, SECONDS = 10, 12
DOOR = Line("door", (0.62, 0.97), (0.55, 0.3), fractions=True)
HEADS = 1.55  # m above the ground, where the rectangle is marked: heads stand out from there


def line(counter: EdgeCounter) -> np.ndarray:
    """Count the people who cross a line for some seconds, and draw the last frame."""
    lines = LineCounter([DOOR], manifest=counter.manifest)
    scenes = render_clip(
        26, frames=FPS * SECONDS, fps=FPS, size=SIZE, seed=7, place="plaza", light="day"
    )
    for index, scene in enumerate(scenes):
        result = counter.count(scene.image)
        crossed = lines.update(index / FPS, result, scene.image)
    print("line", crossed)
    layers = ("points", "lines", "count")
    return draw_overlay(
        scene.image, result, lines=[DOOR], crossed=crossed, time=SECONDS, layers=layers
    )


def ground(counter: EdgeCounter) -> np.ndarray:
    """Draw a crowd with the map of its ground; the rectangle is where the camera has it."""
    people, seed, place = 110, 5, "plaza"
    scene = render_scene(people, size=SIZE, seed=seed, place=place, light="day")
    # The stage of the first attempt, which a scene with so much room always is.
    setting = Setting(people, SIZE, place, "day", "auto", seed)
    camera = set_stage(np.random.default_rng([seed, 0, 0]), setting).camera
    half, near, deep = 4.0, camera.near + 2.0, 10.0
    x = np.array([-half, half, half, -half])
    z = np.array([near + deep, near + deep, near, near])
    column, row, _ = camera.project(x, np.full(4, HEADS), z)
    corners = np.column_stack([column, row])
    plane = GroundPlane.from_rectangle(corners, 2 * half, deep, SIZE)
    marked = np.array([(0, 0), (2 * half, 0), (2 * half, deep), (0, deep)], np.float64)
    view = GroundView(plane, (-4, -4, 2 * half + 4, deep + 4), marked)
    result = counter.count(scene.image)
    print("ground", result.count, len(scene.points))
    return draw_overlay(scene.image, result, ground=view, layers=("heat", "points", "count", "map"))


def alarm(counter: EdgeCounter) -> np.ndarray:
    """Draw a place that is too full."""
    scene = render_scene(160, size=SIZE, seed=8, place="hall", light="indoor")
    result = counter.count(scene.image)
    raised = Alarm(AlarmRule(above=120, below=100, enter=0))
    raised.update(0, result.count)
    print("alarm", result.count, len(scene.points), raised.state)
    return draw_overlay(scene.image, result, alarm=raised)


def main() -> None:
    """Render, count, draw, write."""
    with EdgeCounter() as counter:
        for make in (line, ground, alarm):
            path = FOLDER / f"{make.__name__}.jpg"
            cv2.imwrite(str(path), make(counter), [cv2.IMWRITE_JPEG_QUALITY, 82])
            print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
