"""Addresses of streams as they are shown: without the secrets that they may hold."""

from __future__ import annotations

import re

_HIDDEN = "***"
# With one typing error too: rtsp:/user:password@host, rtsp//user:password@host.
_URL = re.compile(
    r"([a-z][a-z0-9+.-]{0,30}://|\b(?:rtsp|http)s?(?::/|//)(?=[^/\s:]*:[^/\s]*@))"
    r"([^/?#\s]*)(\S*)",
    re.IGNORECASE,
)
_USER = re.compile(r"\A(\s*([a-z][a-z0-9+.-]*)://)([^/?#]*)@", re.IGNORECASE)
_AZURE = ("abfs", "abfss", "wasb", "wasbs")
# The lengths are bounded: messages may hold what a camera has sent, and time must not grow faster
# than they do.
_NAMED = re.compile(r"[\w.~-]{1,200}=(?=[^&;#/_\s])")
_VALUE = re.compile(r"[^&;#/_\s]+")
# A camera's user=admin&password=1234, and the keys and signatures of a cloud's links.
_SECRET = re.compile(
    r"(?:pass|pwd|secret|token|key|auth|sig|cred|session|sid|code|hash"
    r"|(?<![a-z])(?:usr|user|username|login|account|pw|pin|psw))[a-z]*=\Z",
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


def without_user(name: str) -> str:
    """Return a name, and an address without the user and password in it."""
    found = _USER.match(name) if "://" in name else None
    if found is None or _is_container(found[2], found[3]):
        return name
    return found[1] + name[found.end() :]


def is_azure(scheme: str) -> bool:
    """Return whether what stands before the @ of such URLs is a container of Azure's storage."""
    return scheme.lower() in _AZURE


def _is_container(scheme: str, user: str) -> bool:
    return is_azure(scheme) and ":" not in user


def _shown(scheme: str, host: str, rest: str) -> str:
    if "@" in rest and _ends_too_early(host, rest):
        host, rest = "", rest.rpartition("@")[2]
    user, at, host = host.rpartition("@")
    if _is_container(scheme.removesuffix("://"), user):
        host = user + at + host
    return scheme + host + _without_secrets(rest)


def _without_secrets(rest: str) -> str:
    """Return path, query and fragment with *** for the values of what is named like a secret."""
    shown, at = "", 0
    for match in _NAMED.finditer(rest):
        # A value may be followed by the next name without anything between: user=a_password=b.
        if match.end() > at and _SECRET.search(rest[max(at, match.start()) : match.end()]):
            shown += rest[at : match.end()] + _HIDDEN
            value = _VALUE.match(rest, match.end())
            at = match.end() if value is None else value.end()
    return shown + rest[at:]


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
