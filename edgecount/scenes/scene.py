"""Pictures of crowds with known truth: `render_scene`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.compose import compose
from edgecount.scenes.crowd import Person, draw_people, person_sprite
from edgecount.scenes.photo import develop
from edgecount.scenes.sprite import Sprite
from edgecount.scenes.stage import Setting, Stage, set_stage, too_many
from edgecount.scenes.visibility import CLEAR_SHARE, is_inside, likely_visible, visible_shares

# Factors on the camera's altitude: whoever finds no place in one view may find it in another.
_LIFTS = (1.0, 1.35, 0.75, 1.8, 0.55)
_ROUNDS = 4


@dataclass(frozen=True)
class Heads:
    """Heads in a picture, with the persons whose they are.

    Attributes:
        ids: number of each person, int64 (N,).
        boxes: left, top, right, bottom in pixels, float32 (N, 4): the whole head with the hair
            that lies on it, hidden parts included; a box may reach out of the picture.
        visibility: share of each head that can be seen, 0 to 1, float32 (N,).
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.float32]
    visibility: NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """A rendered picture and its truth.

    Attributes:
        image: BGR, uint8 (H, W, 3).
        points: centres of the visible heads, x and y in pixels, float32 (N, 2); the picture
            spans [0, W] x [0, H], and pixel i covers [i, i + 1).
        sizes: heights of those heads, chin to crown, in pixels, float32 (N,).
        seed: seed that the picture was drawn from.
        ids: number of the person whose head each is, int64 (N,): the same through a clip, until
            the person leaves the frame at one side and comes back at the other as a new one.
        boxes: boxes of those heads, float32 (N, 4); see :class:`Heads`.
        visibility: share of those heads that can be seen, 0 to 1, float32 (N,).
        hidden: heads in a frame of a clip that do not count, because too little of them is seen
            or their centre is outside of the frame.
    """

    image: NDArray[np.uint8]
    points: NDArray[np.float32]
    sizes: NDArray[np.float32]
    seed: int
    ids: NDArray[np.int64]
    boxes: NDArray[np.float32]
    visibility: NDArray[np.float32]
    hidden: Heads


def heads_of(
    sprites: Sequence[Sprite], ids: Iterable[int], shares: Sequence[float] | NDArray[np.floating]
) -> Heads:
    """Bundle the heads of people with their numbers and visible shares."""
    boxes = np.array([s.head_box for s in sprites], np.float32).reshape(-1, 4)
    return Heads(np.array(list(ids), np.int64), boxes, np.array(shares, np.float32).clip(0, 1))


def make_scene(
    image: NDArray[np.uint8],
    counted: Sequence[Sprite],
    seed: int,
    heads: Heads,
    hidden: Heads | None = None,
) -> Scene:
    """Bundle a picture with the heads that count in it, and those that do not."""
    points = np.array([s.head_at for s in counted], np.float32).reshape(-1, 2)
    sizes = np.array([s.head_size for s in counted], np.float32)
    hidden = hidden or heads_of([], [], [])
    return Scene(image, points, sizes, seed, heads.ids, heads.boxes, heads.visibility, hidden)


def render_scene(
    people: int,
    *,
    size: tuple[int, int] = (1024, 768),
    seed: int,
    place: str = "auto",
    light: str = "auto",
    pattern: str = "auto",
) -> Scene:
    """Render a picture with exactly `people` people who count.

    A person counts when the centre of the head lies inside the frame and at least 30% of
    the head can be seen; here everyone who is drawn shows at least 45% of the head, so
    that no half-hidden head makes the truth doubtful.

    Args:
        people: number of people, 0 or more; 0 gives the empty place.
        size: (width, height) in pixels, each 64 to 16384.
        seed: 0 or more; the same seed and options give the same picture.
        place: "auto" or one of street, plaza, park, hall, stand.
        light: "auto" or one of day, overcast, dusk, night, indoor.
        pattern: arrangement of the people: "auto" or one of uniform, clusters, queue.

    Raises:
        ConfigError: an option that makes no sense, or more people than fit in the frame.
    """
    setting = Setting(people, size, place, light, pattern, seed)
    for attempt, lift in enumerate(_LIFTS):
        streams = [np.random.default_rng([seed, attempt, i]) for i in range(3)]
        stage = set_stage(streams[0], setting, lift=lift)
        seen = _visible_people(streams[1], stage, people)
        if len(seen) >= people:
            keep = np.sort(streams[1].permutation(len(seen))[:people])
            sprites = [seen[i] for i in keep]
            image = develop(compose(stage, sprites), stage.lens, streams[2])
            shares = visible_shares([*sprites, *stage.things], *size)[:people]
            return make_scene(image, sprites, seed, heads_of(sprites, range(people), shares))
    raise too_many(people, size)


def _visible_people(rng: np.random.Generator, stage: Stage, people: int) -> list[Sprite]:
    """Draw people who all count together: at least as many as asked for, or too few.

    Taking some of them away uncovers others and hides nobody.
    """
    camera = stage.camera
    pool: list[Person] = []
    crowd: list[Person] = []
    for _ in range(_ROUNDS):
        if len(crowd) >= 1.1 * people:
            break
        pool += draw_people(rng, camera, math.ceil(1.6 * people) + 10, stage.pattern)
        crowd = likely_visible(pool, camera)
    if len(crowd) < people:
        return []
    seen: list[Sprite] = []
    for _ in range(_ROUNDS):
        missing = people - len(seen)
        if missing <= 0 or (not crowd and seen):
            break
        chosen = rng.permutation(len(crowd))[: math.ceil(1.04 * missing) + 1]
        sprites = [*seen, *(person_sprite(crowd[i], camera, stage.light) for i in chosen)]
        taken = set(chosen.tolist())
        crowd = [person for i, person in enumerate(crowd) if i not in taken]
        shares = visible_shares(
            [*sprites, *stage.things], camera.width, camera.height, drop_below=CLEAR_SHARE
        )[: len(sprites)]
        seen = [
            sprite
            for sprite, share in zip(sprites, shares, strict=True)
            if share >= CLEAR_SHARE and is_inside(sprite, camera.width, camera.height)
        ]
        if len(crowd) < people - len(seen):
            crowd += likely_visible(draw_people(rng, camera, people, stage.pattern), camera)
    return seen
