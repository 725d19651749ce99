"""JSON as sinks write it: one line, valid UTF-8, no numbers that JSON does not have."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from edgecount._text import valid_text
from edgecount.watch.readings import Event, Reading


def encode(document: Any) -> bytes:
    """Return a document of plain types as UTF-8 JSON without spaces; NaN and infinities as null."""
    try:
        text = _dump(document)
    except ValueError:
        text = _dump(_finite(document))
    return valid_text(text).encode()


def reading_document(reading: Reading) -> dict[str, Any]:
    """Return a reading's numbers, and its lines once more as counters."""
    told = reading.to_dict()
    found = [one for name, line in told["lines"].items() for one in counters(name, line)]
    return {"type": "reading", **told, "counters": found}


def event_document(event: Event) -> dict[str, Any]:
    """Return an event."""
    return {"type": "event", **event.to_dict()}


def counters(name: str, line: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a line's counts as ONVIF's counting rules give them.

    Whole numbers that only grow, each with its direction and the time at which it was reset; see
    the annex on rules of the ONVIF Analytics Service Specification.

    Args:
        name: the line's name.
        line: its ``in``, ``out`` and ``since``, as `Reading.to_dict` gives them.
    """
    return [
        {
            "rule": name,
            "direction": direction,
            "count": math.floor(line[direction] + 0.5),
            "reset_time": line["since"],
        }
        for direction in ("in", "out")
    ]


def _dump(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value
