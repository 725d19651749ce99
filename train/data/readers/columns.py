"""The columns of a table of heads: what they are called, and what they mean together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Every spelling of a heading; spaces and hyphens are underscores, case does not matter.
_SPELLINGS = {
    "image": ("image", "file", "filename", "file_name", "path", "img", "image_name", "image_path"),
    "x": ("x", "cx", "x_center", "x_centre", "center_x", "centre_x"),
    "y": ("y", "cy", "y_center", "y_centre", "center_y", "centre_y"),
    "w": ("w", "width"),
    "h": ("h", "height"),
    "x1": ("x1", "xmin", "x_min", "left"),
    "y1": ("y1", "ymin", "y_min", "top"),
    "x2": ("x2", "xmax", "x_max", "right"),
    "y2": ("y2", "ymax", "y_max", "bottom"),
    "image_width": ("image_width", "img_width"),
    "image_height": ("image_height", "img_height"),
    "class": ("class", "label", "category", "class_name"),
    "note": ("note", "notes", "comment", "remark", "id"),
}
_CANONICAL = {spelling: name for name, names in _SPELLINGS.items() for spelling in names}
_PLACES = ("x", "y", "w", "h", "x1", "y1", "x2", "y2")
# The columns of places that mean something together, and which of them are used.
_KINDS = {
    ("x", "y"): ("x", "y"),
    ("x", "y", "w", "h"): ("x", "y", "w", "h"),
    ("x1", "y1", "x2", "y2"): ("x1", "y1", "x2", "y2"),
    ("w", "h", "x1", "y1", "x2", "y2"): ("x1", "y1", "x2", "y2"),
    ("w", "h", "x1", "y1"): ("x1", "y1", "w", "h"),
}
_SEVERAL = 2  # boxes: one may be at an edge by chance
_EXPECTED = (
    "expected image with x, y (a head's centre), with x, y, width, height, with left, top, right, "
    "bottom (or xmin, ymin, xmax, ymax), or with left, top, width, height"
)


@dataclass(frozen=True)
class Columns:
    """Which column has what.

    Attributes:
        image: the column of the images' names.
        places: columns of a head's numbers, in the order of ``kind``.
        kind: canonical names of these numbers, such as x, y, w, h.
        size: columns of the image's own width and height, if it has them.
        label: the column of the classes, if it has one.
        number: number of columns.
    """

    image: int
    places: tuple[int, ...]
    kind: tuple[str, ...]
    size: tuple[int, int] | None
    label: int | None
    number: int


DEFAULT = Columns(0, (1, 2, 3, 4), ("x", "y", "w", "h"), None, None, 5)
"""The columns of a table without headings: image,x,y or image,x,y,w,h."""


def is_heading(words: Sequence[str]) -> bool:
    """Return whether a table's first row has names of columns: two or more, and no number."""
    named = [word for word in words if word]
    if len(named) == 1:
        return _canonical(named[0]) == "image"
    return bool(named) and not any(_is_number(word) for word in named)


def read_heading(words: Sequence[str]) -> Columns:
    """Find out what the columns of these names mean.

    Raises:
        ValueError: a name is unknown or there twice, or together they say no place.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(words):
        name = _canonical(word)
        if word and name is None:
            raise ValueError(f"line 1: unknown column {word!r}: {_known()}")
        if name in places and name != "note":
            raise ValueError(f"line 1: two columns mean the same, {name}: {', '.join(words)}")
        if name:
            places[name] = place
    given = tuple(name for name in _PLACES if name in places)
    if "image" not in places or (given and given not in _KINDS):
        raise ValueError(f"line 1: {_EXPECTED}, got {', '.join(words)}")
    kind = _KINDS.get(given, ())
    # Beside four sides width and height are those of the image, as in TensorFlow's tables.
    size = ("w", "h") if len(given) == 6 else ("image_width", "image_height")
    return Columns(
        places["image"],
        tuple(places[name] for name in kind),
        kind,
        (places[size[0]], places[size[1]]) if set(size) <= set(places) else None,
        places.get("class"),
        len(words),
    )


def hint_of(columns: Columns, heads: Sequence[Sequence[float]]) -> str:
    """Say what boxes around centres look like that have their corners first; empty: nothing.

    Args:
        columns: of the table.
        heads: its numbers, x, y, width and height or x and y alone.
    """
    boxes = [head for head in heads if len(head) == 4]
    if columns.kind != DEFAULT.kind or not boxes:
        return ""
    named = "name the columns in the first row, image,"
    looks_so = len(boxes) >= _SEVERAL and all(w > x and h > y for x, y, w, h in boxes)
    if columns is DEFAULT and looks_so:
        return (
            f"boxes that look like left, top, right, bottom, read as x,y,w,h: {named}x1,y1,x2,y2?"
        )
    # A clipped box begins at the very edge; its centre hardly lies there.
    if sum(x == 0 or y == 0 for x, y, _, _ in boxes) >= _SEVERAL:
        return f"boxes with centres at the very edge: are x and y their corner? {named}left,top,w,h"
    return ""


def _canonical(word: str) -> str | None:
    return _CANONICAL.get(word.strip().lower().replace(" ", "_").replace("-", "_"))


def _is_number(word: str) -> bool:
    try:
        float(word.replace(",", "."))
    except ValueError:
        return False
    return True


def _known() -> str:
    return f"{_EXPECTED}; besides image_width, image_height, class and note are known"
