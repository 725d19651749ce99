"""A local page for marking heads in one's own pictures, written as the CSV that `adapt` reads.

`table` reads and writes the CSV, `drafts` the file beside it with what is not done yet, and
`store` keeps both in step. `pictures` lists the folder and makes JPEGs of what is in it,
`proposals` counts ahead of the user, and `app` and `server` are the page, whose files are in
`static/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecount.label.server import LabelServer

__all__ = ["LabelServer"]


def __getattr__(name: str) -> object:
    if name == "LabelServer":
        from edgecount.label.server import LabelServer

        return LabelServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
