"""Who may see the page and who may change something: tokens, roles and the cookie of a login."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypeAlias

from edgecount.errors import ConfigError

Role: TypeAlias = Literal["viewer", "editor"]

COOKIE = "edgecount_session"
SESSION = 30 * 24 * 3600  # s that a login lasts
_ROLES: tuple[Role, ...] = ("editor", "viewer")
_SHORTEST, _LONGEST = 16, 512  # characters of a token
_HOW = "edgecount watch --new-token page.token"


@dataclass(frozen=True)
class Access:
    """Tokens of the roles.

    Attributes:
        editor: token of who may change things; empty: there is none.
        viewer: token of who may look; empty: there is none.
        now: the clock, UNIX time in seconds.
    """

    editor: str = field(default="", repr=False)
    viewer: str = field(default="", repr=False)
    now: Callable[[], float] = field(default=time.time, repr=False)

    @classmethod
    def from_files(cls, address: str, editor: str | None, viewer: str | None) -> Access:
        """Read the tokens for a page that is served at a host.

        Args:
            address: name or address that the page listens at.
            editor: path of the file with the editors' token, or None.
            viewer: path of the file with the viewers' token, or None.

        Raises:
            ConfigError: a file cannot be read or holds no token, or other machines can reach the
                address and there is no token.
        """
        if not (editor or viewer) and not is_loopback(address):
            raise ConfigError(
                f"serve.address: other machines can reach {address}, so the page needs a token: "
                f"make one by {_HOW} and set serve.token_file to page.token"
            )
        access = cls(_token("token_file", editor), _token("viewer_token_file", viewer))
        if access.editor and access.editor == access.viewer:
            raise ConfigError(
                "serve.viewer_token_file: expected another token than token_file's, got the same"
            )
        return access

    @property
    def is_open(self) -> bool:
        """Whether no token is asked for."""
        return not (self.editor or self.viewer)

    def role_of(self, token: str) -> Role | None:
        """Return the role that a token gives; None if it is none. Takes the same time for all."""
        role: Role | None = None
        for name in _ROLES:
            expected: str = getattr(self, name)
            is_same = hmac.compare_digest(_digest(token), _digest(expected))
            if is_same and expected:
                role = role or name
        return role

    def cookie(self, role: Role) -> str:
        """Return the cookie's value for who has logged in."""
        until = f"{int(self.now()) + SESSION}"
        return f"{role}.{until}.{self._seal(role, until)}"

    def role_of_cookie(self, value: str) -> Role | None:
        """Return the role that a cookie gives; None if it is false, too old or of an old token."""
        role, _, rest = value.partition(".")
        until, _, seal = rest.partition(".")
        for name in _ROLES:
            if role == name and getattr(self, name):
                expected = self._seal(name, until)
                is_same = hmac.compare_digest(_digest(seal), _digest(expected))
                if is_same and until.isascii() and until.isdigit() and int(until) > self.now():
                    return name
        return None

    def _seal(self, role: Role, until: str) -> str:
        # The key is the role's token: who changes it ends all sessions of that role.
        key = _digest(getattr(self, role))
        return hmac.new(key, f"edgecount {role} {until}".encode(), hashlib.sha256).hexdigest()


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _digest(text: str) -> bytes:
    # Digests are of one length, so that comparing them tells nothing of a token's.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _token(key: str, path: str | None) -> str:
    if path is None:
        return ""
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"serve.{key}: {path} cannot be read: {why}; make it by {_HOW}") from None
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if not (is_plain and _SHORTEST <= len(text) <= _LONGEST):
        raise ConfigError(
            f"serve.{key}: expected one line of {_SHORTEST} to {_LONGEST} letters and digits in "
            f"{path}, got {len(text)} characters; make it by {_HOW}"
        )
    return text
