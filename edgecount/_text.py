"""Names of files and moments as text that every output can hold."""

from __future__ import annotations

import re
from datetime import datetime, timezone

SURROGATES = re.compile("[\ud800-\udfff]")


def valid_text(text: str) -> str:
    r"""Return a text that every UTF-8 encoder takes: undecodable bytes become ``\xNN``.

    Python keeps such a byte of a path as a lone surrogate (PEP 383), which cannot be encoded.
    """
    return SURROGATES.sub(_escaped, text)


def utc_text(time: float) -> str:
    """Return a UNIX time as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(time, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    # U+DC80 to U+DCFF stand for the bytes 0x80 to 0xff.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
