"""A crowd that walks: `render_clip`."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgecount.errors import ConfigError
from edgecount.scenes.camera import Camera
from edgecount.scenes.compose import compose
from edgecount.scenes.crowd import Person, draw_people, person_sprite
from edgecount.scenes.photo import develop
from edgecount.scenes.scene import Scene, heads_of, make_scene
from edgecount.scenes.sprite import Sprite
from edgecount.scenes.stage import Setting, set_stage
from edgecount.scenes.visibility import (
    VISIBLE_SHARE,
    is_inside,
    likely_visible,
    visible_shares,
)

_log = logging.getLogger(__name__)

# Strides below this one, in radians, are people who shift on the spot.
_STROLL = 0.1
_LEAST_FPS, _MOST_FPS = 0.01, 1000.0


def _walk(person: Person, seconds: float, camera: Camera) -> tuple[Person, int]:
    """Move a person straight ahead for some seconds; the legs keep time with the ground.

    Returns:
        The person there, and how often the frame was left by then: to the right, or below 0 to
        the left.
    """
    pose = person.pose
    if pose.stride < _STROLL:
        return person, 0
    # Yaw 0 walks towards the camera.
    step = 2.9 * pose.stride * seconds
    x = person.x + math.sin(pose.yaw) * step
    z = person.z - math.cos(pose.yaw) * step
    # Whoever leaves at one side comes in at the other, both out of sight.
    depth = z * math.cos(camera.pitch) + camera.altitude * math.sin(camera.pitch)
    half = 0.5 * camera.width / camera.focal * depth + 1.0
    phase = pose.phase + math.pi * step / (1.5 * pose.stride)
    laps, along = divmod(x + half, 2 * half)
    return replace(person, x=along - half, z=z, pose=replace(pose, phase=phase)), int(laps)


def _steer(person: Person, seconds: float, camera: Camera) -> Person:
    """Turn a person so that the way stays between the near and the far limit."""
    pose = person.pose
    away = -math.cos(pose.yaw) * 2.9 * pose.stride * seconds
    near, far = camera.near, camera.far
    if camera.slope > 0:
        # People on tiers stay on theirs.
        heading = math.copysign(math.pi / 2, math.sin(pose.yaw))
    elif near <= person.z + away <= far:
        heading = pose.yaw
    elif near <= person.z - away <= far:
        heading = math.pi - pose.yaw
    else:
        heading = math.copysign(math.pi / 2, math.sin(pose.yaw))
    return replace(person, pose=replace(pose, yaw=heading)) if pose.stride >= _STROLL else person


def check_fps(fps: float) -> None:
    """Refuse a frame rate at which people would leave the scene between two frames.

    Raises:
        ConfigError: it is not a number from 0.01 to 1000.
    """
    if not _LEAST_FPS <= fps <= _MOST_FPS:
        raise ConfigError(f"fps: expected {_LEAST_FPS:g} to {_MOST_FPS:g}, got {fps}")


def render_clip(
    people: int,
    *,
    frames: int,
    fps: float,
    size: tuple[int, int] = (1024, 768),
    seed: int,
    place: str = "auto",
    light: str = "auto",
    pattern: str = "auto",
) -> Iterator[Scene]:
    """Render a crowd that walks in front of a fixed camera, frame by frame.

    The first frame shows about `people` people, or as many as find room, which is logged as
    a warning; then people hide each other, leave the frame and enter it. The truth of a frame
    is everyone who counts in it by the rule of `render_scene`.

    Args:
        people: number of people, 0 or more.
        frames: number of frames, 1 or more.
        fps: frames per second of the scene's time, 0.01 to 1000.
        size: (width, height) in pixels, each 64 to 16384.
        seed: 0 or more; the same seed and options give the same clip.
        place: as for `render_scene`.
        light: as for `render_scene`.
        pattern: as for `render_scene`.

    Yields:
        One scene per frame.

    Raises:
        ConfigError: an option that makes no sense, or more people than any view has room for.
    """
    setting = Setting(people, size, place, light, pattern, seed)
    if frames < 1:
        raise ConfigError(f"frames: expected 1 or more, got {frames}")
    check_fps(fps)
    return _frames(setting, frames, fps)


def _frames(setting: Setting, frames: int, fps: float) -> Iterator[Scene]:
    rng = np.random.default_rng(setting.seed)
    stage = set_stage(rng, setting)
    camera = stage.camera
    drawn = draw_people(rng, camera, 2 * setting.people, stage.pattern)
    crowd = likely_visible(drawn, camera)
    crowd = [crowd[i] for i in rng.permutation(len(crowd))[: setting.people]]
    if len(crowd) < setting.people:
        width, height = setting.size
        _log.warning(
            "people: %d of %d find room in a clip of %d x %d pixels (seed %d): ask for fewer "
            "people or a larger size",
            *(len(crowd), setting.people, width, height, setting.seed),
        )
    crowd = [_steer(person, frames / fps, camera) for person in crowd]
    for index in range(frames):
        walks = [_walk(person, index / fps, camera) for person in crowd]
        ids = [i + len(crowd) * _lap_number(laps) for i, (_, laps) in enumerate(walks)]
        sprites = [person_sprite(walker, camera, stage.light) for walker, _ in walks]
        # Shares go on with the stage's things, after the people.
        shares = visible_shares([*sprites, *stage.things], *setting.size)[: len(sprites)]
        counts = [
            share >= VISIBLE_SHARE and is_inside(sprite, *setting.size)
            for sprite, share in zip(sprites, shares, strict=True)
        ]
        counted = [i for i in range(len(sprites)) if counts[i]]
        hidden = [
            i for i in range(len(sprites)) if not counts[i] and _in_frame(sprites[i], setting)
        ]
        picture = develop(compose(stage, sprites), stage.lens, rng)
        heads, others = (
            heads_of([sprites[i] for i in chosen], [ids[i] for i in chosen], shares[chosen])
            for chosen in (counted, hidden)
        )
        yield make_scene(picture, [sprites[i] for i in counted], setting.seed, heads, others)


def _lap_number(laps: int) -> int:
    """Return 0, 1, 2, 3 ... for 0, -1, 1, -2 ..., a number of its own for each return."""
    return 2 * laps if laps >= 0 else -2 * laps - 1


def _in_frame(sprite: Sprite, setting: Setting) -> bool:
    (left, top, right, bottom), (width, height) = sprite.head_box, setting.size
    return left < width and top < height and right > 0 and bottom > 0
