"""The looks of a person: build, clothes, hair, skin, hat and bag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecount.scenes.arrays import Floats


def _colours(text: str) -> tuple[tuple[int, int, int], ...]:
    """Return BGR colours, 0 to 255, of a text of hexadecimal RGB colours."""
    return tuple((rgb[2], rgb[1], rgb[0]) for rgb in map(bytes.fromhex, text.split()))


# Surface colours; several of a kind where it is common.
_SKIN = _colours("deb496 d4a587 c69473 dca882 daac8c ac7d5c 82583e 5f3e2d")
_HAIR = _colours(
    "171514 1e1a18 1a1615 261e1b 161414 161412 1c1918 211c1a 1e1816 30241e 463022 62442d "
    "a08055 767473 b0b0af"
)
_DARK = _colours("1b1b1c 26282a 34373a 222c3e 283850 342828")
_PALE = _colours("c8cbcd e0e2e4 b2b4b4 d2cdc3 becdd7")
_MUTED = _colours("7d8082 5a5c5f 506987 6482a0 55695a 8c7864 af9678 825555 968c96")
_BRIGHT = _colours("af2d32 c83c3c 3264aa 4696c8 3c8c46 dcbe3c dc7832 c86ea0 6e3c96 3ca0aa")
_CLOTH = _DARK * 4 + _PALE * 4 + _MUTED * 2 + _BRIGHT
_LEGS = _DARK * 2 + _colours("2d3e55 3e556e 556e8c 504b46 917d64 8c8782 b9b4aa")
_SHOES = _colours("191819 3c3028 c8c8c8 413c3c 9e9b96")
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
