"""The body as solid parts: ellipsoids and tapered limbs, posed, in metres.

Frame of a body: the origin is on the ground between the feet, x to the body's left, y up,
z to where the body faces.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edgecount.scenes.arrays import Floats
from edgecount.scenes.look import Look
from edgecount.scenes.solid import Part, blob, rotation, vec

MATERIALS = ("skin", "top", "lower", "shoes", "bag", "head", "hair", "hat")


@dataclass(frozen=True)
class Pose:
    """The pose in which a person stands, walks or sits.

    Attributes:
        yaw: direction that the body faces, in radians; 0 is towards the camera.
        turn: turn of the head relative to the body, in radians.
        nod: tilt of the head, positive looks down, in radians.
        phase: phase of the walk, in radians.
        stride: swing of the legs, in radians; 0 for a person who stands.
        arms: pose of the arms, one of "swing", "raised", "phone", "crossed" or "pockets".
        seated: whether the person sits.
    """

    yaw: float
    turn: float = 0.0
    nod: float = 0.0
    phase: float = 0.0
    stride: float = 0.0
    arms: str = "swing"
    seated: bool = False


def _limb(material: str, a: Floats, b: Floats, ra: float, rb: float) -> Part:
    return Part(MATERIALS.index(material), a, b, ra, rb)


def _blob(material: str, centre: Floats, axes: Floats, frame: Floats | None = None) -> Part:
    return blob(MATERIALS.index(material), centre, axes, frame)


def _swing(hip: Floats, length: float, angle: float, side: float = 0.0) -> Floats:
    return np.asarray(hip + length * vec(side, -math.cos(angle), math.sin(angle)), np.float32)


def _leg(look: Look, hip: Floats, swing: float, bend: float, g: float) -> list[Part]:
    knee = _swing(hip, 0.43, swing)
    ankle = _swing(knee, 0.40, swing - bend)
    toe = ankle + vec(0, -0.03, 0.15)
    upper = "skin" if look.garment == "skirt" else "lower"
    lower = "lower" if look.garment in {"trousers", "coat"} else "skin"
    return [
        _limb(upper, hip, knee, 0.09 * g, 0.066 * g),
        _limb(lower, knee, ankle, 0.062 * g, 0.05 * g),
        _limb("shoes", ankle, toe, 0.045, 0.035),
    ]


_ELBOWS = {  # upper arm swing, forearm swing, sideways spread
    "raised": (2.7, 3.0, 0.18),
    "phone": (0.35, 2.1, 0.08),
    "crossed": (0.3, 1.5, -0.15),
    "pockets": (-0.15, 0.55, 0.12),
}


def _arm(look: Look, shoulder: Floats, pose: Pose, side: float, swing: float) -> list[Part]:
    first, second, spread = _ELBOWS.get(pose.arms, (swing, swing + 0.25, 0.06))
    if pose.arms == "phone" and side < 0:
        first, second, spread = 0.05, 0.2, 0.06
    elbow = _swing(shoulder, 0.28, first, side * max(spread, 0.06))
    hand = _swing(elbow, 0.25, second, side * (spread - 0.06))
    sleeve = "top" if look.long_sleeves else "skin"
    return [
        _limb("top", shoulder, elbow, 0.066, 0.052),
        _limb(sleeve, elbow, hand, 0.047, 0.037),
        _blob("skin", hand, vec(0.045, 0.055, 0.045)),
    ]


def _torso(look: Look, base: float, g: float) -> list[Part]:
    hem = -0.04 if look.garment != "trousers" or g > 1 else 0.04
    hip = "top" if look.garment == "coat" else "lower"
    parts = [
        _limb("top", vec(0, base + 0.41, 0), vec(0, base + hem, 0), 0.108 * g, 0.105 * g),
        _blob("top", vec(0, base + hem + 0.02, 0), vec(0.165 * g, 0.12, 0.125 * g)),
        _limb("skin", vec(0, base + 0.53, 0.005), vec(0, base + 0.62, 0.012), 0.055, 0.055),
        _blob(hip, vec(0, base - 0.03, 0), vec(0.165 * g, 0.13, 0.125 * g)),
    ]
    for side in (-1.0, 1.0):
        chest = vec(side * 0.085 * g, base + 0.40, 0)
        parts.append(_limb("top", chest, vec(side * 0.06 * g, base + hem, 0), 0.105 * g, 0.1 * g))
        neck, tip = vec(side * 0.03, base + 0.53, -0.01), vec(side * 0.175 * g, base + 0.47, 0)
        parts.append(_limb("top", neck, tip, 0.055, 0.065))
    return parts


def _skirt(look: Look, base: float, g: float) -> list[Part]:
    if look.garment not in {"skirt", "coat"}:
        return []
    material = "top" if look.garment == "coat" else "lower"
    waist, length = vec(0, base + 0.04, 0), 0.42 if look.garment == "coat" else 0.5
    # A ring of narrow panels hangs straight; one wide cone would end in a ball.
    return [
        _limb(
            material,
            waist + vec(0.07 * g * math.cos(turn), 0, 0.04 * g * math.sin(turn)),
            waist + vec(0.17 * g * math.cos(turn), -length, 0.13 * g * math.sin(turn)),
            0.09 * g,
            0.06 * g,
        )
        for turn in np.linspace(0, 2 * math.pi, 8, endpoint=False).tolist()
    ]


def _bag(look: Look, base: float) -> list[Part]:
    if look.bag == "backpack":
        ends = [
            (vec(side * 0.07, base + 0.16, -0.18), vec(side * 0.06, base + 0.4, -0.16))
            for side in (-1.0, 1.0)
        ]
        return [_limb("bag", low, high, 0.1, 0.085) for low, high in ends]
    if look.bag == "shoulder":
        return [
            _limb("bag", vec(0.24, base - 0.04, -0.09), vec(0.24, base - 0.04, 0.09), 0.07, 0.07),
            _limb("bag", vec(0.24, base + 0.04, -0.08), vec(0.24, base + 0.04, 0.08), 0.06, 0.06),
            _limb("bag", vec(0.23, base + 0.08, 0.03), vec(0.1, base + 0.52, 0.04), 0.014, 0.014),
        ]
    return []


def _head(look: Look, centre: Floats, frame: Floats, level: Floats) -> list[Part]:
    def at(x: float, y: float, z: float) -> Floats:
        return centre + frame @ vec(x, y, z)

    parts = [
        _blob("head", at(0, 0.0, 0.005), vec(0.076, 0.112, 0.093), frame),
        _blob("head", at(0, -0.045, 0.03), vec(0.058, 0.068, 0.062), frame),
        _blob("head", at(0, -0.012, 0.098), vec(0.013, 0.022, 0.02), frame),
        _blob("head", at(0.077, -0.008, 0.0), vec(0.012, 0.03, 0.018), frame),
        _blob("head", at(-0.077, -0.008, 0.0), vec(0.012, 0.03, 0.018), frame),
    ]
    style = look.hair_style
    if style != "bald":
        parts.append(_blob("hair", at(0, 0.035, -0.012), vec(0.087, 0.092, 0.1), frame))
    if style == "bob":
        parts.append(_blob("hair", at(0, -0.02, -0.03), vec(0.095, 0.12, 0.082), frame))
    if style == "long":
        parts.append(_blob("hair", at(0, -0.03, -0.035), vec(0.094, 0.125, 0.08), frame))
        # Hanging hair turns with the head but does not nod with it.
        tail = centre + level @ vec(0, -0.16, -0.07)
        parts.append(_blob("hair", tail, vec(0.095, 0.17, 0.052), level))
    if style == "bun":
        parts.append(_blob("hair", at(0, 0.09, -0.09), vec(0.045, 0.045, 0.045), frame))
    return parts + _hat(look.hat, at, frame)


def _hat(hat: str, at: Callable[[float, float, float], Floats], frame: Floats) -> list[Part]:
    if not hat:
        return []
    if hat == "hood":
        return [_blob("hat", at(0, 0.01, -0.035), vec(0.108, 0.14, 0.1), frame)]
    if hat == "helmet":
        return [_blob("hat", at(0, 0.05, -0.005), vec(0.115, 0.1, 0.13), frame)]
    crown = _blob("hat", at(0, 0.06, -0.01), vec(0.094, 0.083, 0.108), frame)
    if hat == "cap":
        return [crown, _blob("hat", at(0, 0.065, 0.1), vec(0.07, 0.012, 0.09), frame)]
    return [crown, _blob("hat", at(0, 0.055, 0), vec(0.17, 0.014, 0.18), frame)]


def build_body(look: Look, pose: Pose) -> tuple[list[Part], Floats]:
    """Build the parts of a posed body.

    Returns:
        The parts in the body's frame, and the centre of the head, metres, shape (3,).
    """
    g = look.girth
    base = 0.90 if not pose.seated else 0.52
    bob = 0.02 * pose.stride * abs(math.sin(pose.phase))
    swing = pose.stride * math.sin(pose.phase)
    parts: list[Part] = []
    for side, angle, step in ((1.0, swing, pose.phase), (-1.0, -swing, pose.phase + math.pi)):
        bend = pose.stride * (0.5 + 0.9 * max(0.0, math.cos(step)))
        thigh, knee = (1.45, 1.4) if pose.seated else (angle, bend)
        parts += _leg(look, vec(side * 0.085 * g, base, 0), thigh, knee, g)
        shoulder = vec(side * 0.19 * g, base + 0.455, 0)
        parts += _arm(look, shoulder, pose, side, -0.8 * angle)
    parts += _torso(look, base, g) + _bag(look, base)
    parts += [] if pose.seated else _skirt(look, base, g)
    centre = vec(0, base + 0.685, 0.025 + 0.03 * pose.nod)
    parts += _head(look, centre, rotation(pose.turn, pose.nod), rotation(pose.turn))
    # Drawn for 1.70 m: the head shrinks less than the body, as a child's does.
    scale = np.float32(look.stature / 1.70)
    keep = np.float32(scale**-0.6)
    lift = vec(0, bob, 0)
    scaled = []
    head = centre * scale + lift
    for part in parts:
        is_head = part.material >= MATERIALS.index("head")
        factor = scale * keep if is_head else scale
        a = head + (part.a - centre) * factor if is_head else part.a * scale + lift
        b = head + (part.b - centre) * factor if is_head else part.b * scale + lift
        axes = None if part.axes is None else part.axes * factor
        ra, rb = part.ra * float(factor), part.rb * float(factor)
        scaled.append(replace(part, a=a, b=b, ra=ra, rb=rb, axes=axes))
    return scaled, head
