"""Addresses of streams as they are shown: without the secrets that they may hold."""

from __future__ import annotations

import re

_HIDDEN = "***"
_URL = re.compile(r"([a-z][a-z0-9+.-]*://)([^/?#\s]*)(\S*)", re.IGNORECASE)
# A camera's user=admin&password=1234, and the keys and signatures of a cloud's links.
_SECRET = re.compile(
    r"(?P<name>[\w.~-]*?(?:pass|pwd|secret|token|key|auth|sig|cred|session|sid|code|hash"
    r"|(?<![a-z])(?:usr|user|username|login|account|pw|pin|psw))[a-z]*)=[^&;#/_\s]+",
    re.IGNORECASE,
)


def shown_url(text: str) -> str:
    """Return a text whose URLs have neither user nor password, nor values that look like secrets.

    Args:
        text: a URL, or a message with URLs in it.
    """
    return _URL.sub(lambda match: _shown(*match.groups()), text)


def _shown(scheme: str, host: str, rest: str) -> str:
    # A password with a slash or a question mark in it ends the host too early: then what stands
    # before the last @ is left out as well, for what is left of the host has no port.
    port = host.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    if "@" in rest and port and not port.isdecimal():
        host, rest = "", rest.rpartition("@")[2]
    host = host.rpartition("@")[2]
    return scheme + host + _SECRET.sub(rf"\g<name>={_HIDDEN}", rest)
