"""Names and moments as text."""

from __future__ import annotations

import pytest

from edgecount._text import utc_text, valid_text


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1.7e9 + 1 / 3, "2023-11-14T22:13:20.333Z"),
        (1_764_417_600.25, "2025-11-29T12:00:00.250Z"),
    ],
)
def test_moments_in_utc_to_the_millisecond(time: float, text: str) -> None:
    assert utc_text(time) == text


def test_bytes_that_are_no_utf_8() -> None:
    assert valid_text("caf\udce9 \ud800") == "caf\\xe9 \\ud800"
