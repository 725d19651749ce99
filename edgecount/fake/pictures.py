"""Pictures of fake cameras: people as simple figures, or rendered ones, and their places."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount._opencv import load_cv2
from edgecount.errors import ConfigError
from edgecount.fake.script import Cover, Scene, Show, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD_COLOUR = (255, 0, 255)  # BGR: nothing else in the pictures is near it
_NOISE = 8  # levels
_SHIFTS = 61  # rows that the noise is shifted by, from picture to picture
_LARGEST_HEAD, _SMALLEST_HEAD = 9, 3  # radii in pixels
_GAP = 4  # pixels between two heads at least


class Painter:
    """A painter of the pictures of one camera: the same ones for the same seed.

    Args:
        seed: 0 or more.
        rendered: whether people are rendered (`edgecount.scenes`) rather than drawn as figures.
    """

    def __init__(self, seed: int, *, rendered: bool) -> None:
        self._seed = seed
        self._rendered = rendered
        self._backdrop = functools.lru_cache(4)(self._make_backdrop)
        self._noise = functools.lru_cache(4)(self._make_noise)
        self._crowd = functools.lru_cache(16)(self._make_crowd)
        self._scene = functools.lru_cache(16)(self._render)

    def prepare(self, scene: Scene) -> None:
        """Make what takes long, and find out whether the people fit in.

        Raises:
            ConfigError: they do not, or they cannot walk.
        """
        if self._rendered and getattr(scene.step, "walk", (0, 0)) != (0, 0):
            raise ConfigError("walk: rendered people stand still: leave out walk or rendered")
        self.picture(scene, scene.begin, 0)

    def heads(self, scene: Scene, second: float) -> NDArray[np.float64]:
        """Return the places of the heads in a picture, (N, 2): x and y in pixels."""
        if self._rendered:
            return np.asarray(self._scene(scene.people, scene.size)[1], np.float64)
        base, _ = self._crowd(scene.people, scene.size)
        walk = getattr(scene.step, "walk", (0.0, 0.0))
        moved = base + np.multiply(walk, second - scene.begin)
        return np.asarray(np.floor(moved % scene.size) + 0.5)

    def picture(self, scene: Scene, second: float, number: int) -> NDArray[np.uint8]:
        """Return a picture, uint8 (H, W, 3), BGR.

        Args:
            scene: what the camera does.
            second: time by the script.
            number: of the picture, which the noise hangs on.
        """
        if isinstance(scene.step, Cover):
            width, height = scene.size
            picture = np.full((height, width, 3), 6, np.uint8)
        elif self._rendered:
            picture = self._scene(scene.people, scene.size)[0]
        else:
            picture = self._draw(scene, second)
        if not isinstance(scene.step, (Show, Cover)):
            return np.array(picture)
        shift = 7 * number % _SHIFTS
        noise = self._noise(scene.size)[shift : shift + scene.size[1]]
        added: NDArray[np.uint8] = load_cv2().add(picture, noise)
        return added

    def _draw(self, scene: Scene, second: float) -> NDArray[np.uint8]:
        cv2 = load_cv2()
        picture: NDArray[np.uint8] = np.array(self._backdrop(scene.size))
        _, radius = self._crowd(scene.people, scene.size)
        places = [(int(x), int(y)) for x, y in self.heads(scene, second)]
        for x, y in places:
            body = (x, y + 2 * radius), (radius, 2 * radius)
            cv2.ellipse(picture, *body, 0, 0, 360, (70, 60, 50), -1)
        for place in places:
            cv2.circle(picture, place, radius, HEAD_COLOUR, -1)
        return picture

    def _make_backdrop(self, size: Size) -> NDArray[np.uint8]:
        """Draw soft grey ground, lighter towards the top."""
        width, height = size
        grain = np.random.default_rng(self._seed).normal(0, 12, (height // 8 + 1, width // 8 + 1))
        shade = np.linspace(170, 110, height)[:, None]
        soft: Any = load_cv2().resize(grain, (width, height))
        return np.repeat(np.clip(soft + shade, 0, 200).astype(np.uint8)[..., None], 3, axis=2)

    def _make_noise(self, size: Size) -> NDArray[np.uint8]:
        width, height = size
        rng = np.random.default_rng([self._seed, 1])
        return rng.integers(0, _NOISE, (height + _SHIFTS, width, 3), np.uint8)

    def _make_crowd(self, people: int, size: Size) -> tuple[NDArray[np.float64], int]:
        """Return places with room between them, also across the borders, and the heads' radius."""
        radius = _LARGEST_HEAD
        while 4 * people > math.prod(_cells(size, radius)) and radius > _SMALLEST_HEAD:
            radius -= 1
        columns, rows = _cells(size, radius)
        if people > columns * rows:
            raise ConfigError(
                f"people: expected at most {columns * rows} in pictures of {size[0]} x {size[1]} "
                f"pixels, got {people}"
            )
        rng = np.random.default_rng([self._seed, 2])
        cells = rng.permutation(columns * rows)[:people]
        corner = np.stack([cells % columns, cells // columns], axis=1)
        step = np.divide(size, (columns, rows))
        shift = rng.uniform(-0.5, 0.5, (people, 2)) * (step - 2 * radius - _GAP)
        return (corner + 0.5) * step + shift, radius

    def _render(self, people: int, size: Size) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        from edgecount.scenes import render_scene

        scene = render_scene(people, size=size, seed=self._seed)
        return scene.image, scene.points


def _cells(size: Size, radius: int) -> tuple[int, int]:
    """Return how many columns and rows of heads there is room for."""
    side = 2 * radius + _GAP
    return size[0] // side, size[1] // side
