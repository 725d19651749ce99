"""Visibility of heads behind everything that stands nearer.

A person counts when the centre of the head lies inside the frame and at least
`VISIBLE_SHARE` of the head's pixels are in the frame and not hidden.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.camera import Camera
from edgecount.scenes.crowd import Person, head_guess, stand_at
from edgecount.scenes.sprite import Sprite, Window, crop

VISIBLE_SHARE = 0.3
# Pictures keep only heads that can be seen better than that, as people who mark heads on
# photographs would hardly mark a sliver behind another head.
CLEAR_SHARE = 0.45
# Height in pixels under which a head is a smudge that nobody could count.
LEAST_HEAD = 5.0


def visible_shares(
    sprites: Sequence[Sprite], width: int, height: int, *, drop_below: float = 0.0
) -> NDArray[np.float64]:
    """Return the share of each head that is in the frame and not hidden, 0 to 1; things get 1.

    Args:
        sprites: people and things in any order.
        width: frame width in pixels.
        height: frame height in pixels.
        drop_below: people of whose heads a smaller share is seen, or whose heads have their
            centre outside of the frame, are left out of the picture, so that they hide nobody;
            0: none.
    """
    covered = np.zeros((height, width), bool)
    shares = np.zeros(len(sprites))
    for index in sorted(range(len(sprites)), key=lambda i: sprites[i].stand.depth):
        sprite = sprites[index]
        window = crop(sprite, width, height)
        shares[index] = 1.0 if sprite.head is None else _share(sprite, window, covered)
        kept = not drop_below or (shares[index] >= drop_below and is_inside(sprite, width, height))
        if window is not None and kept:
            covered[window[0]] |= sprite.alpha[window[1]] > 0.5
    return shares


def is_inside(sprite: Sprite, width: int, height: int) -> bool:
    """Return whether the centre of a head lies in the frame; True of things."""
    x, y = sprite.head_at
    return sprite.head is None or (0 <= x < width and 0 <= y < height)


def _share(sprite: Sprite, window: Window | None, covered: NDArray[np.bool_]) -> float:
    if window is None or sprite.head is None:
        return 0.0
    total = float(sprite.head.sum())
    seen = float(sprite.head[window[1]][~covered[window[0]]].sum())
    return seen / total if total > 0 else 0.0


def likely_visible(people: Sequence[Person], camera: Camera) -> list[Person]:
    """Return those who will probably count, by rough outlines: rendering costs far more."""
    covered = np.zeros((camera.height, camera.width), np.uint8)
    kept = []
    stands = {id(p): stand_at(camera, p.x, p.z) for p in people}
    for person in sorted(people, key=lambda p: stands[id(p)].depth):
        stand = stands[id(person)]
        x, y, size = head_guess(person, stand)
        inside = 0 <= x < camera.width and 0 <= y < camera.height
        if not inside or size < LEAST_HEAD:
            continue
        reach = 0.4 * size
        rows = slice(max(math.floor(y - reach), 0), math.ceil(y + reach))
        columns = slice(max(math.floor(x - reach), 0), math.ceil(x + reach))
        if covered[rows, columns].mean() > 0.5:
            continue
        kept.append(person)
        centre, radius = (round(x), round(y)), max(round(0.45 * size), 1)
        cv2.circle(covered, centre, radius, 1, -1)
        waist = (round(stand.foot[0]), round(y + 0.45 * (stand.foot[1] - y)))
        foot = (round(stand.foot[0]), round(stand.foot[1]))
        shoulder = (round(x), round(y + 1.4 * size))
        cv2.line(covered, shoulder, waist, 1, max(round(1.7 * size), 1))
        cv2.line(covered, waist, foot, 1, max(round(1.2 * size), 1))
    return kept
