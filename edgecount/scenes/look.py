"""The looks of a person: build, clothes, hair, skin, hat and bag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Look", "draw_look"]

Floats = NDArray[np.float32]

# BGR surface colours, 0 to 255; repeated where they are common.
_SKIN = (
    (150, 180, 222),
    (135, 165, 212),
    (115, 148, 198),
    (130, 168, 220),
    (140, 172, 218),
    (92, 125, 172),
    (62, 88, 130),
    (45, 62, 95),
)
_HAIR = (
    (20, 21, 23),
    (24, 26, 30),
    (21, 22, 26),
    (27, 30, 38),
    (20, 20, 22),
    (18, 20, 22),
    (24, 25, 28),
    (26, 28, 33),
    (22, 24, 30),
    (30, 36, 48),
    (34, 48, 70),
    (45, 68, 98),
    (85, 128, 160),
    (115, 116, 118),
    (175, 176, 176),
)
_DARK = ((28, 27, 27), (42, 40, 38), (58, 55, 52), (62, 44, 34), (80, 56, 40), (40, 40, 52))
_PALE = ((205, 203, 200), (228, 226, 224), (180, 180, 178), (195, 205, 210), (215, 205, 190))
_MUTED = (
    (130, 128, 125),
    (95, 92, 90),
    (135, 105, 80),
    (160, 130, 100),
    (90, 105, 85),
    (100, 120, 140),
    (120, 150, 175),
    (85, 85, 130),
    (150, 140, 150),
)
_BRIGHT = (
    (50, 45, 175),
    (60, 60, 200),
    (170, 100, 50),
    (200, 150, 70),
    (70, 140, 60),
    (60, 190, 220),
    (50, 120, 220),
    (160, 110, 200),
    (150, 60, 110),
    (170, 160, 60),
)
_CLOTH = _DARK * 4 + _PALE * 4 + _MUTED * 2 + _BRIGHT
_LEGS = _DARK * 2 + (
    (85, 62, 45),
    (110, 85, 62),
    (140, 110, 85),
    (70, 75, 80),
    (100, 125, 145),
    (130, 135, 140),
    (170, 180, 185),
)
_SHOES = ((25, 24, 25), (40, 48, 60), (200, 200, 200), (60, 60, 65), (150, 155, 158))
_BAGS = _DARK * 2 + _MUTED + _BRIGHT


@dataclass(frozen=True)
class Look:
    """One person's build and clothes; colours are BGR, 0 to 255, float32, shape (3,).

    Attributes:
        stature: body height in metres, without hair.
        girth: factor on the widths of the body.
        skin: colour of the skin.
        hair: colour of the hair.
        hair_style: "short", "long", "bun", "bald" or "bob".
        hat: "", "cap", "brim", "hood" or "helmet".
        hat_colour: colour of the hat.
        top: colour of the upper garment.
        accent: second colour of the upper garment's pattern.
        pattern: "plain", "stripes", "checks", "block" or "print".
        long_sleeves: whether the forearms are covered.
        lower: colour of trousers, skirt or coat tails.
        garment: "trousers", "shorts", "skirt" or "coat".
        shoes: colour of the shoes.
        bag: "", "backpack" or "shoulder".
        bag_colour: colour of the bag.
        glasses: whether dark glasses are worn.
    """

    stature: float
    girth: float
    skin: Floats
    hair: Floats
    hair_style: str
    hat: str
    hat_colour: Floats
    top: Floats
    accent: Floats
    pattern: str
    long_sleeves: bool
    lower: Floats
    garment: str
    shoes: Floats
    bag: str
    bag_colour: Floats
    glasses: bool


def _colour(
    rng: np.random.Generator, choices: tuple[tuple[int, int, int], ...], spread: float = 5
) -> Floats:
    base = np.array(choices[int(rng.integers(len(choices)))], np.float32)
    varied = base * rng.uniform(0.8, 1.15) + rng.normal(0, spread, 3)
    return np.clip(varied, 8, 240).astype(np.float32)


def _pick(rng: np.random.Generator, names: tuple[str, ...], weights: tuple[float, ...]) -> str:
    share = np.array(weights)
    return names[int(rng.choice(len(names), p=share / share.sum()))]


def draw_look(rng: np.random.Generator) -> Look:
    """Draw a person: mostly adults, some children, everyday clothes."""
    child = rng.random() < 0.07
    stature = float(
        rng.uniform(1.05, 1.45) if child else np.clip(rng.normal(1.69, 0.08), 1.5, 1.92)
    )
    return Look(
        stature=stature,
        girth=float(np.clip(rng.normal(1.0, 0.1), 0.82, 1.35)),
        skin=_colour(rng, _SKIN),
        hair=_colour(rng, _HAIR, 2),
        hair_style=_pick(rng, ("short", "long", "bun", "bald", "bob"), (50, 26, 6, 4, 14)),
        hat=_pick(rng, ("", "cap", "brim", "hood", "helmet"), (84, 8, 3, 4, 1)),
        hat_colour=_colour(rng, _CLOTH),
        top=_colour(rng, _CLOTH),
        accent=_colour(rng, _CLOTH),
        pattern=_pick(rng, ("plain", "stripes", "checks", "block", "print"), (62, 7, 6, 10, 15)),
        long_sleeves=bool(rng.random() < 0.6),
        lower=_colour(rng, _LEGS),
        garment=_pick(rng, ("trousers", "shorts", "skirt", "coat"), (66, 12, 12, 10)),
        shoes=_colour(rng, _SHOES),
        bag=_pick(rng, ("", "backpack", "shoulder"), (70, 14, 16)),
        bag_colour=_colour(rng, _BAGS),
        glasses=bool(rng.random() < 0.12),
    )
