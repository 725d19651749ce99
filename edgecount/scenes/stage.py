"""The stage of a scene: place, camera, light and everything that is not a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecount.errors import ConfigError
from edgecount.scenes.arrays import Floats
from edgecount.scenes.backdrop import draw_sky, draw_skyline
from edgecount.scenes.camera import Camera, make_camera
from edgecount.scenes.ground import draw_ground
from edgecount.scenes.light import LIGHTS, Light, make_light
from edgecount.scenes.photo import Lens, make_lens
from edgecount.scenes.placement import PATTERNS
from edgecount.scenes.sprite import Sprite
from edgecount.scenes.things import draw_things
from edgecount.scenes.visibility import CLEAR_SHARE, LEAST_HEAD

PLACES = ("street", "plaza", "park", "hall", "stand")

_GROUNDS = {
    "street": ("asphalt", "paving"),
    "plaza": ("paving", "tiles"),
    "park": ("grass", "asphalt", "paving"),
    "hall": ("tiles",),
    "stand": ("steps",),
}
_BACKDROPS = {
    "street": ("buildings",),
    "plaza": ("buildings", "trees", "wall"),
    "park": ("trees",),
    "hall": ("wall",),
    "stand": ("wall", "trees"),
}
_LEAST_SIDE, _MOST_SIDE = 64, 16384


@dataclass(frozen=True)
class Setting:
    """The scene that was asked for; every name may be "auto".

    Attributes:
        people: number of people.
        size: (width, height) of the frame in pixels.
        place: kind of place, one of `PLACES`.
        light: kind of light, one of `LIGHTS`.
        pattern: arrangement of the people, one of `PATTERNS`.
        seed: seed that everything is drawn from.

    Raises:
        ConfigError: a negative count or seed, a side under 64 or over 16384 pixels, more people
            than any view of them has room for, or an unknown name.
    """

    people: int
    size: tuple[int, int]
    place: str = "auto"
    light: str = "auto"
    pattern: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, number in (("people", self.people), ("seed", self.seed)):
            if number < 0:
                raise ConfigError(f"{name}: expected 0 or more, got {number}")
        width, height = self.size
        if min(width, height) < _LEAST_SIDE or max(width, height) > _MOST_SIDE:
            raise ConfigError(
                f"size: expected a width and a height of {_LEAST_SIDE} to {_MOST_SIDE} pixels, "
                f"got width {width} and height {height}"
            )
        # What the smallest heads that count would cover, if nothing else were in the frame.
        if self.people * CLEAR_SHARE * LEAST_HEAD**2 / 2 > width * height:
            raise too_many(self.people, self.size)
        for name, known in (("place", PLACES), ("light", LIGHTS), ("pattern", PATTERNS)):
            value = getattr(self, name)
            if value not in {"auto", *known}:
                names = ", ".join(known)
                raise ConfigError(f"{name}: expected one of auto, {names}, got {value!r}")


def too_many(people: int, size: tuple[int, int]) -> ConfigError:
    """Return the error of people who find no room."""
    return ConfigError(
        f"people: {people} do not fit in a frame of {size[0]} x {size[1]} pixels so that every "
        "head can be seen: ask for fewer people or a larger size"
    )


@dataclass(frozen=True)
class Stage:
    """A scene without its people, made once, also for a clip.

    Attributes:
        camera: camera that takes the picture.
        light: light and air.
        lens: the camera's faults.
        canvas: background and ground, lit, BGR float32 (H, W, 3).
        things: sprites of trees, cars and whatever else stands on the ground.
        pattern: arrangement of the people, one of `PATTERNS`.
        pools: pools of lamp light, factors on the picture, float32 (H, W, 3), or None.
    """

    camera: Camera
    light: Light
    lens: Lens
    canvas: Floats
    things: list[Sprite]
    pattern: str
    pools: Floats | None


def _one(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]


def _pools(rng: np.random.Generator, camera: Camera, light: Light) -> Floats | None:
    """Draw warm, uneven lamp light for dusk and night; None for other light."""
    if light.name not in {"dusk", "night"}:
        return None
    share = np.full((camera.height, camera.width), 0.6, np.float32)
    x = np.arange(camera.width, dtype=np.float32)[None, :]
    y = np.arange(camera.height, dtype=np.float32)[:, None]
    for _ in range(int(rng.integers(1, 5))):
        cx, cy = rng.uniform(0, camera.width), rng.uniform(0.1, 0.9) * camera.height
        wide, tall = camera.width * rng.uniform(0.15, 0.45), camera.height * rng.uniform(0.15, 0.4)
        reach = np.exp(-(((x - cx) / wide) ** 2)) * np.exp(-(((y - cy) / tall) ** 2))
        share += np.asarray(reach, np.float32) * np.float32(rng.uniform(0.15, 0.5))
    warm = np.array([0.86, 1.0, 1.08], np.float32)
    return np.asarray(share[..., None] * warm, np.float32)


def set_stage(rng: np.random.Generator, setting: Setting, *, lift: float = 1.0) -> Stage:
    """Draw camera, light, background and things; lift is a factor on the camera's altitude."""
    drawn_place, drawn_pattern = _one(rng, PLACES), _one(rng, PATTERNS)
    drawn_light = LIGHTS[int(rng.choice(4, p=[0.45, 0.3, 0.13, 0.12]))]
    place = drawn_place if setting.place == "auto" else setting.place
    pattern = drawn_pattern if setting.pattern == "auto" else setting.pattern
    if place == "hall":
        drawn_light = "indoor"
    light = make_light(rng, drawn_light if setting.light == "auto" else setting.light)
    camera = make_camera(rng, setting.size, setting.people, tiers=place == "stand", lift=lift)
    canvas = np.zeros((camera.height, camera.width, 3), np.float32)
    draw_sky(canvas, rng, camera, light)
    ground, backdrop = _one(rng, _GROUNDS[place]), _one(rng, _BACKDROPS[place])
    # Flat ground ends where the skyline starts; tiers rise in front of it.
    layers = [(draw_ground, ground), (draw_skyline, backdrop)]
    for draw, kind in reversed(layers) if place == "stand" else layers:
        draw(canvas, rng, camera, light, kind)
    things = draw_things(rng, camera, light, place)
    lens, pools = make_lens(rng, light), _pools(rng, camera, light)
    return Stage(camera, light, lens, canvas, things, pattern, pools)
