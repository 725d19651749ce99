"""Readings and events as JSON."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.readings import LineReading, Reading


@pytest.mark.parametrize("since", [0.0, 1_750_000_020.0, 1_750_000_020.123456])
def test_counts_of_a_line_have_the_time_since_which_they_count(since: float):
    lines = {
        "gate": LineReading(12.0, 7.5, since),
        "back door": LineReading(0.0, 0.0, since + 86_400),
    }
    reading = Reading(
        *("door", 1_750_000_999.0, None, None, None, None, {}, lines, "moving", False),
        SourceHealth(SourceState.LIVE),
    )
    told = json.loads(json.dumps(reading.to_dict(), allow_nan=False))["lines"]
    assert {name: (one["in"], one["out"], one["net"]) for name, one in told.items()} == {
        "gate": (12.0, 7.5, 4.5),
        "back door": (0.0, 0.0, 0.0),
    }
    for name, line in lines.items():
        stamp = datetime.strptime(told[name]["since"], "%Y-%m-%dT%H:%M:%S.%f%z")
        assert stamp.utcoffset() is not None
        assert stamp.timestamp() == pytest.approx(line.since, abs=1e-3)
