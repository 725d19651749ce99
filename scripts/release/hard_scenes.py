"""Scenes that are hard for a counter in the ways that model cards name.

The pictures are the project's own: no photograph is needed to show where a model fails.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount import CountResult, EdgeCounter
from edgecount.drawing import draw_overlay
from edgecount.errors import OutputError
from edgecount.scenes import Scene, render_scene

ORDINARY = "ordinary"
LARGEST = 60_000  # bytes of a picture
FEWEST = 5  # people: of fewer, one head more or less is no large error
_WIDTH = 800  # px of a picture
_DAY = {"place": "street", "light": "day"}
# Name, title, people, seed and options of the scenes that are shown as they are rendered.
_WHOLE: list[tuple[str, str, int, int, dict[str, Any]]] = [
    ("empty-street", "an empty street with shop signs and a tree", 0, 777_001, _DAY),
    ("shop-signs", "few people before shop signs", 6, 777_003, _DAY),
    ("trunks", "few people among trunks and balloons", 6, 777_012, {"place": "park"}),
    ("night", "a square at night", 60, 777_031, {"light": "night"}),
    ("dense-block", "a dense block", 500, 777_041, {"pattern": "uniform"}),
]


@dataclass(frozen=True, eq=False)
class HardScene:
    """A rendered image and the number of heads in it."""

    name: str  # of its file, without extension
    title: str  # the difficulty, in words
    image: NDArray[np.uint8]  # (H, W, 3) BGR or (H, W) grey
    people: int  # true count


@dataclass(frozen=True, eq=False)
class SceneCount:
    """A scene and a model's count of it."""

    scene: HardScene
    result: CountResult

    @property
    def error(self) -> float:
        """Return the estimate minus the truth: above 0 counts too many."""
        return self.result.count - self.scene.people

    @property
    def harm(self) -> float:
        """Return the size of the error as a share of the people, :data:`FEWEST` at least."""
        return abs(self.error) / max(self.scene.people, FEWEST)


def hard_scenes() -> Iterator[HardScene]:
    """Render the scenes, the ordinary one first. Training draws none of these seeds."""
    ordinary = render_scene(60, seed=777_022, place="street", light="overcast")
    yield HardScene(ORDINARY, "an ordinary street", ordinary.image, len(ordinary.points))
    grey = np.asarray(cv2.cvtColor(ordinary.image, cv2.COLOR_BGR2GRAY), np.uint8)
    yield HardScene("grey-copy", "the ordinary street in grey", grey, len(ordinary.points))
    for name, title, people, seed, options in _WHOLE:
        scene = render_scene(people, seed=seed, **options)
        yield HardScene(name, title, scene.image, len(scene.points))
    yield _shrunk(render_scene(200, seed=777_061), 0.4)
    yield _near(render_scene(40, size=(2560, 1920), seed=777_051, place="street", light="day"))


def _shrunk(scene: Scene, factor: float) -> HardScene:
    """Shrink a scene: the renderer draws no head that small by itself."""
    small = cv2.resize(scene.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    low, high = factor * scene.sizes.min(), factor * scene.sizes.max()
    title = f"very small heads, {low:.0f} to {high:.0f} px"
    return HardScene("small-heads", title, np.asarray(small, np.uint8), len(scene.points))


def _near(scene: Scene) -> HardScene:
    """Cut the lower middle of a large image at its full resolution: the people near the camera."""
    height, width = scene.image.shape[:2]
    left, right, top = width // 5, width - width // 5, round(0.36 * height)
    x, y = scene.points.T
    inside = (x >= left) & (x < right) & (y >= top)
    image = np.ascontiguousarray(scene.image[top:, left:right])
    title = f"heads near the camera, up to {scene.sizes[inside].max():.0f} px"
    return HardScene("large-heads", title, image, int(inside.sum()))


def try_scenes(counter: EdgeCounter) -> list[SceneCount]:
    """Count all scenes; the worst come first."""
    trials = [SceneCount(scene, counter.count(scene.image)) for scene in hard_scenes()]
    return sorted(trials, key=lambda trial: -trial.harm)


def shown(trials: Sequence[SceneCount], worst: int = 3) -> list[SceneCount]:
    """Return those worth an image in a card: the worst of the hard scenes, and the ordinary one."""
    hard = [trial for trial in trials if trial.scene.name != ORDINARY]
    return hard[:worst] + [trial for trial in trials if trial.scene.name == ORDINARY]


def write_pictures(trials: Sequence[SceneCount], folder: Path) -> list[Path]:
    """Draw the overlays of :func:`shown`; delete those of an earlier release.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for trial in trials:
            (folder / f"{trial.scene.name}.jpg").unlink(missing_ok=True)
        paths = []
        for trial in shown(trials):
            paths.append(folder / f"{trial.scene.name}.jpg")
            paths[-1].write_bytes(_jpeg(draw_overlay(trial.scene.image, trial.result)))
    except OSError as error:
        raise OutputError(f"cannot write pictures to {folder}: {error.strerror}") from error
    return paths


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Encode at the best quality that is small enough."""
    height, width = picture.shape[:2]
    if width > _WIDTH:
        size = (_WIDTH, round(height * _WIDTH / width))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    data = b""
    for quality in range(88, 20, -4):
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= LARGEST:
            break
    return data
