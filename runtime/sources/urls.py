"""Addresses of streams as they are shown: without the secrets that they may hold."""

from __future__ import annotations

import re

_HIDDEN = "***"
# With one typing error too: rtsp:/user:password@host, rtsp//user:password@host.
_URL = re.compile(
    r"([a-z][a-z0-9+.-]*://|\b(?:rtsp|http)s?(?::/|//)(?=[^/\s]*:[^/\s]*@))([^/?#\s]*)(\S*)",
    re.IGNORECASE,
)
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


def stream_name(url: str) -> str:
    """Return one URL as `shown_url` does, also if there are spaces in its password."""
    return shown_url(re.sub(r"\s", lambda match: f"%{ord(match[0]):02X}", url.strip()))


def _shown(scheme: str, host: str, rest: str) -> str:
    if "@" in rest and _ends_too_early(host, rest):
        host, rest = "", rest.rpartition("@")[2]
    host = host.rpartition("@")[2]
    return scheme + host + _SECRET.sub(rf"\g<name>={_HIDDEN}", rest)


def _ends_too_early(host: str, rest: str) -> bool:
    """Return whether what looks like a host is the start of a user's name and password.

    A password with a slash or a question mark in it ends the host too early. Then what stands
    before the last @ is left out as well.
    """
    before, _, after = rest.rpartition("@")
    user, _, host = host.rpartition("@")
    name, _, port = host.rpartition("]")[2].partition(":")
    if port and not port.isdecimal():
        return True
    if "." in name or name == "localhost" or host.startswith("["):
        return False
    return ":" in before or bool((user or port) and re.search("[/:]", after))
