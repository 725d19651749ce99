"""Drawn pictures of things in great number that are no people: fruit, leaves, books, stones, tiles.

What a network takes for heads in pictures without anybody is what repeats: berries on a cake, the
backs of books, foliage, the flowers of a wallpaper. Photographs of such things are few; these are
endless.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_Colour = tuple[float, float, float]

SIZE = (640, 480)  # px, width and height


def draw_pattern(seed: int, size: tuple[int, int] = SIZE) -> Image:
    """Draw one picture without people.

    Args:
        seed: of everything random.
        size: width and height in px.

    Returns:
        uint8 (H, W, 3), BGR.
    """
    rng = np.random.default_rng((seed, 91))
    width, height = size
    image = _ground(width, height, rng)
    kinds = list(_KINDS)
    for _ in range(int(rng.integers(1, 4))):
        box = _place(width, height, rng)
        part = image[box[1] : box[3], box[0] : box[2]]
        _KINDS[kinds[int(rng.integers(len(kinds)))]](part, rng)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6)).astype(np.uint8, copy=False)
    light = _smooth(width, height, rng, 1.0, rng.uniform(0.0, 0.35))
    noise = rng.normal(0.0, rng.uniform(0.0, 5.0), image.shape)
    return np.clip(image * light[..., None] + noise, 0, 255).astype(np.uint8)


def _place(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a part: the whole picture, or a large piece of it."""
    if rng.random() < 0.4:
        return 0, 0, width, height
    across, down = rng.uniform(0.35, 1.0, 2)
    left = int(rng.uniform(0, 1 - across) * width)
    top = int(rng.uniform(0, 1 - down) * height)
    return left, top, left + max(int(across * width), 32), top + max(int(down * height), 32)


def _ground(width: int, height: int, rng: np.random.Generator) -> Image:
    """Return a background: one colour, brighter and darker, perhaps with a grain."""
    colour = np.array(_colour(rng))
    shade = _smooth(width, height, rng, 1.0, 0.3)[..., None]
    grain = rng.normal(0, rng.uniform(0, 12), (height, width, 1))
    return np.clip(colour * shade + grain, 0, 255).astype(np.uint8)


def _smooth(
    width: int, height: int, rng: np.random.Generator, mean: float, spread: float
) -> NDArray[np.float32]:
    small = rng.normal(mean, spread, (4, 5)).astype(np.float32)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return large.astype(np.float32, copy=False)


def _colour(rng: np.random.Generator, least: float = 0.0) -> _Colour:
    """Return a BGR colour, with a saturation of ``least`` at the least."""
    pixel = np.array(
        [[[rng.uniform(0, 180), 255 * rng.uniform(least, 1.0), rng.uniform(40, 250)]]], np.uint8
    )
    blue, green, red = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return float(blue), float(green), float(red)


def _shaded(colour: _Colour, factor: float) -> _Colour:
    blue, green, red = (min(max(part * factor, 0.0), 255.0) for part in colour)
    return blue, green, red


def _spots(
    part: Image, rng: np.random.Generator, pitch: float, jitter: float
) -> list[tuple[int, int]]:
    """Return places about ``pitch`` apart, in random order."""
    height, width = part.shape[:2]
    rows, columns = np.mgrid[0 : height / pitch + 1, 0 : width / pitch + 1]
    columns = columns + 0.5 * (rows % 2)
    places = np.column_stack([columns.ravel(), rows.ravel()]) * pitch
    places += rng.normal(0, jitter * pitch, places.shape)
    return [(int(x), int(y)) for x, y in rng.permutation(places)]


def _fruit(part: Image, rng: np.random.Generator) -> None:
    """Draw balls with highlights: berries, grapes, oranges, balloons."""
    radius = rng.uniform(4, 26)
    # Saturated, that no crowd of dark hair is drawn.
    colours = [_colour(rng, 0.6) for _ in range(int(rng.integers(1, 4)))]
    sharp = rng.uniform(0.2, 0.5)
    for x, y in _spots(part, rng, radius * rng.uniform(1.6, 2.6), 0.15):
        own = radius * rng.uniform(0.8, 1.2)
        colour = _shaded(colours[int(rng.integers(len(colours)))], rng.uniform(0.7, 1.2))
        cv2.circle(part, (x, y), round(own), _shaded(colour, 0.55), -1, cv2.LINE_AA)
        middle = (round(x - 0.15 * own), round(y - 0.15 * own))
        cv2.circle(part, middle, max(round(0.75 * own), 1), colour, -1, cv2.LINE_AA)
        shine = (round(x - 0.35 * own), round(y - 0.35 * own))
        cv2.circle(part, shine, max(round(sharp * own * 0.5), 1), (245, 245, 245), -1, cv2.LINE_AA)


def _leaves(part: Image, rng: np.random.Generator) -> None:
    """Draw foliage: layers of leaves, the upper ones brighter."""
    long = rng.uniform(6, 30)
    hue = rng.uniform(20, 75)
    height, width = part.shape[:2]
    number = int(min(2.5 * width * height / long**2, 6000))
    for index in range(number):
        value = (60 + 170 * index / number) * rng.uniform(0.6, 1.1)
        pixel = np.array([[[hue + rng.normal(0, 6), rng.uniform(90, 220), min(value, 250)]]])
        colour = cv2.cvtColor(pixel.astype(np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
        middle = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        axes = max(int(long * rng.uniform(0.4, 0.7)), 1), max(int(long * rng.uniform(0.15, 0.3)), 1)
        cv2.ellipse(part, middle, axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)


def _books(part: Image, rng: np.random.Generator) -> None:
    """Draw shelves of books, with lines of letters on their backs."""
    height, width = part.shape[:2]
    shelf = int(rng.uniform(40, 140))
    part[:] = np.array(_shaded(_colour(rng), 0.3), np.uint8)
    for bottom in range(shelf, height + shelf, shelf + max(shelf // 10, 3)):
        x = 0
        while x < width:
            thick = max(int(rng.uniform(0.06, 0.25) * shelf), 3)
            top = bottom - int(rng.uniform(0.6, 0.95) * shelf)
            colour = _colour(rng)
            cv2.rectangle(part, (x, top), (x + thick - 1, bottom), colour, -1)
            for _ in range(int(rng.integers(0, 4))):
                y = int(rng.uniform(top, bottom))
                ends = (x + 1, y), (x + thick - 2, y + int(rng.uniform(0, 0.1 * shelf)))
                cv2.rectangle(part, *ends, _colour(rng), -1)
            x += thick + int(rng.random() < 0.1) * thick


def _stones(part: Image, rng: np.random.Generator) -> None:
    """Draw gravel, cobbles or pebbles: round cornered pieces with dark joints."""
    pitch = rng.uniform(8, 40)
    colour = _colour(rng)
    part[:] = np.array(_shaded(colour, 0.3), np.uint8)
    for x, y in _spots(part, rng, pitch, rng.uniform(0.05, 0.25)):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        reach = 0.5 * pitch * rng.uniform(0.75, 1.05, 9)
        corners = np.column_stack([x + reach * np.cos(angles), y + reach * np.sin(angles)])
        shade = _shaded(colour, rng.uniform(0.6, 1.4))
        cv2.fillConvexPoly(part, cv2.convexHull(corners.astype(np.int32)), shade, cv2.LINE_AA)


def _motifs(part: Image, rng: np.random.Generator) -> None:
    """Draw a wallpaper or cloth: one small motif again and again."""
    pitch = rng.uniform(12, 60)
    petals, colours = int(rng.integers(3, 8)), [_colour(rng) for _ in range(3)]
    size = pitch * rng.uniform(0.12, 0.3)
    for x, y in _spots(part, rng, pitch, 0.0):
        for angle in np.arange(petals) * (2 * np.pi / petals):
            middle = round(x + size * np.cos(angle)), round(y + size * np.sin(angle))
            cv2.circle(part, middle, max(round(0.6 * size), 1), colours[0], -1, cv2.LINE_AA)
        cv2.circle(part, (x, y), max(round(0.5 * size), 1), colours[1], -1, cv2.LINE_AA)
        if rng.random() < 0.5:
            end = round(x + 0.4 * pitch), round(y + 0.4 * pitch)
            cv2.line(part, (x, y), end, colours[2], max(round(0.1 * size), 1), cv2.LINE_AA)


def _tiles(part: Image, rng: np.random.Generator) -> None:
    """Draw bricks, tiles or the windows of a facade."""
    height, width = part.shape[:2]
    across, down = rng.uniform(10, 70), rng.uniform(8, 60)
    joint = max(int(rng.uniform(0.05, 0.5) * min(across, down)), 1)
    colour, shift = _colour(rng), 0.5 * int(rng.random() < 0.5)
    part[:] = np.array(_colour(rng), np.uint8)
    spread = rng.uniform(0, 0.3)
    for row in range(int(height / down) + 1):
        for column in range(-1, int(width / across) + 1):
            left = round((column + shift * (row % 2)) * across)
            top, right, bottom = round(row * down), left + round(across), round((row + 1) * down)
            ends = (left, top), (right - joint, bottom - joint)
            cv2.rectangle(part, *ends, _shaded(colour, rng.normal(1, spread)), -1)


def _plates(part: Image, rng: np.random.Generator) -> None:
    """Draw plates, glasses and lamps: rings seen at a slant."""
    size = rng.uniform(15, 70)
    flat = rng.uniform(0.25, 1.0)
    colour = _colour(rng)
    for x, y in _spots(part, rng, 2.0 * size * rng.uniform(0.8, 1.4), 0.2):
        for share, shade in ((1.0, 0.6), (0.93, 1.2), (0.65, 0.95), (0.6, 1.15)):
            axes = max(round(share * size), 1), max(round(share * flat * size), 1)
            cv2.ellipse(part, (x, y), axes, 0, 0, 360, _shaded(colour, shade), -1, cv2.LINE_AA)


_KINDS: dict[str, Callable[[Image, np.random.Generator], None]] = {
    "fruit": _fruit,
    "leaves": _leaves,
    "books": _books,
    "stones": _stones,
    "motifs": _motifs,
    "tiles": _tiles,
    "plates": _plates,
}
