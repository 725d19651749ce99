"""People on the ground: their looks, poses, places and sprites."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from edgecount.scenes.body import Pose
from edgecount.scenes.camera import HEAD_METRES, Camera
from edgecount.scenes.light import Light
from edgecount.scenes.look import Look, draw_look
from edgecount.scenes.person import render_person
from edgecount.scenes.placement import place_people
from edgecount.scenes.sprite import Sprite, Stand

_ARMS = ("swing", "raised", "phone", "crossed", "pockets")


@dataclass(frozen=True)
class Person:
    """Someone on the ground.

    Attributes:
        look: appearance.
        pose: posture; its yaw is relative to the camera's axis.
        x: metres to the right of the camera.
        z: metres in front of the camera.
        seed: seed of the folds of the clothes.
    """

    look: Look
    pose: Pose
    x: float
    z: float
    seed: int


def draw_pose(rng: np.random.Generator, heading: float, common: float, seated: float) -> Pose:
    """Draw a posture, given the crowd's yaw and the shares that follow it and that sit."""
    sits = rng.random() < seated
    walks = rng.random() < 0.5 and not sits
    arms = _ARMS[int(rng.choice(len(_ARMS), p=[0.62, 0.03, 0.14, 0.1, 0.11]))]
    follows = rng.random() < common or sits
    yaw = heading + rng.normal(0, 0.4) if follows else rng.uniform(-math.pi, math.pi)
    nod = float(np.clip(rng.normal(0.08, 0.16), -0.3, 0.5))
    return Pose(
        yaw=float(yaw),
        turn=float(rng.normal(0, 0.35)),
        nod=nod + (0.3 if arms == "phone" else 0.0),
        phase=float(rng.uniform(0, 2 * math.pi)),
        stride=float(rng.uniform(0.25, 0.5)) if walks else float(rng.uniform(0, 0.08)),
        arms=arms,
        seated=sits,
    )


def draw_people(rng: np.random.Generator, camera: Camera, count: int, pattern: str) -> list[Person]:
    """Draw up to `count` people and their places; crowded ground gives fewer."""
    tiers = camera.slope > 0
    # A stand looks at the pitch, which is where the camera is.
    heading = float(rng.normal(0, 0.3) if tiers else rng.uniform(-math.pi, math.pi))
    seated = float(rng.choice([0.0, 0.5, 0.9])) if tiers else 0.0
    common = float(rng.choice([0.2, 0.5, 0.9]))
    return [
        Person(
            draw_look(rng),
            draw_pose(rng, heading, common, seated),
            float(x),
            float(z),
            int(rng.integers(2**31)),
        )
        for x, z in place_people(rng, camera, count, pattern)
    ]


def stand_at(camera: Camera, x: float, z: float) -> Stand:
    """Return where a place on the ground, in metres, appears in the frame."""
    ground = float(camera.ground_height(np.array(z)))
    (u, _), (v, _), depths = camera.project(
        np.array([x, x]), np.array([ground, ground + 1.0]), np.array([z, z])
    )
    decline = math.atan2(camera.altitude - ground - 1.0, math.hypot(x, z))
    return Stand((float(u), float(v)), camera.focal / float(depths[1]), decline, float(depths[0]))


def head_guess(person: Person, stand: Stand) -> tuple[float, float, float]:
    """Estimate x, y and height of the head in pixels, without rendering."""
    share = 0.70 if person.pose.seated else 0.93
    rise = share * person.look.stature * math.cos(stand.decline)
    size = HEAD_METRES * stand.scale * (person.look.stature / 1.7) ** 0.4
    return stand.foot[0], stand.foot[1] - rise * stand.scale, size


def person_sprite(person: Person, camera: Camera, light: Light) -> Sprite:
    """Render a person at their place in the frame."""
    # Seen along a line of sight that goes to the right, a body is turned to the right by as much.
    yaw = person.pose.yaw + math.atan2(person.x, person.z)
    rng = np.random.default_rng(person.seed)
    stand = stand_at(camera, person.x, person.z)
    return render_person(person.look, replace(person.pose, yaw=yaw), stand, light, rng)
