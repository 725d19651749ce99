"""Checks of what callers give to be counted."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from edgecount._numbers import is_finite
from edgecount._text import utc_text
from edgecount.errors import ConfigError, InputError, SourceError
from edgecount.runtime.sources import LiveOptions, Source
from edgecount.runtime.sources.urls import shown_url, stream_name

_FRAME = "Frame(image, source, index, time) of edgecount"


def check_path(path: str | os.PathLike[str]) -> None:
    """Refuse an address, which would be taken for a path, and shown with its password."""
    text = os.fsdecode(path)
    if ("://" in text or shown_url(text) != text) and not os.path.lexists(text):
        raise SourceError(
            f"expected an image file, got {stream_name(text)}: addresses are for stream()"
        )


def check_several(method: str, frames: Any) -> None:
    """Refuse one frame where a method expects several."""
    several = isinstance(frames, Iterable) and not isinstance(frames, str)
    if not several or len(getattr(frames, "shape", "BHWC")) < 4:
        raise InputError(
            f"{method}: expected several frames, got one: use count(), or put it into a list"
        )


def check_frames(frames: object) -> None:
    """Refuse what gives no frames one after the other."""
    if not isinstance(frames, Iterable):
        raise InputError(f"count_frames: expected several {_FRAME}, got {_kind(frames)}")


def check_frame(frame: object) -> None:
    """Refuse what is no `Frame`, nor has what one has."""
    if not all(hasattr(frame, name) for name in ("image", "source", "index")):
        raise InputError(
            f"count_frames: expected {_FRAME}, got {_kind(frame)}: for bare images use "
            "count_batch()"
        )
    _check_origin(frame)


def _check_origin(frame: Any) -> None:
    """Refuse what no result could say of its frame."""
    if isinstance(frame.image, (str, os.PathLike)):
        raise InputError(
            "frame: expected pixels as its image, got a path: use count() or open_sources()"
        )
    if frame.source is not None and not isinstance(frame.source, (str, os.PathLike)):
        raise InputError(f"frame: expected a name as its source, got {_kind(frame.source)}")
    try:
        operator.index(0 if frame.index is None else frame.index)
    except TypeError:
        raise InputError(
            f"frame: expected a whole number as its index, got {frame.index!r}"
        ) from None
    for name in ("time", "captured", "media_time"):
        time = getattr(frame, name, None)
        if time is not None and not is_finite(time):
            raise InputError(f"frame: expected seconds as its {name}, got {time!r}")
    captured = getattr(frame, "captured", None)
    try:
        utc_text(float(captured or 0.0))
    except (OSError, OverflowError, ValueError):  # milliseconds are a year in the far future
        raise InputError(
            f"frame: expected UNIX time in seconds as its captured, got {captured!r}"
        ) from None


def check_sources(sources: object) -> None:
    """Refuse what is no sequence of sources."""
    one = isinstance(sources, (str, os.PathLike, int, Source))
    if one or not isinstance(sources, Sequence):
        got = repr(sources) if one else _kind(sources)
        raise ConfigError(
            f"stream_many: expected a list of sources, got {got}: use stream() for one"
        )


def check_live(live: object) -> None:
    """Refuse options of live sources that are none."""
    if live is not None and not isinstance(live, LiveOptions):
        raise ConfigError(f"live: expected LiveOptions or None, got {_kind(live)}")


def check_callback(
    name: str, call: Callable[..., object] | None, *, optional: bool = False
) -> None:
    """Refuse what cannot be called; None will do where it is optional."""
    if not callable(call) and not (optional and call is None):
        raise ConfigError(f"{name}: expected a function, got {_kind(call)}")


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def refuse_copies(_counter: object) -> NoReturn:
    """Raise the TypeError of pickling or copying a counter, whose engine stays in its process."""
    raise TypeError(
        "an EdgeCounter cannot be pickled or copied: open one in each process, such as by "
        "ProcessPoolExecutor(initializer=...)"
    )
