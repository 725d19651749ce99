"""Who may see a page and who may change something: tokens, roles and the cookie of a login."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["viewer", "editor"]

SESSION = 30 * 24 * 3600  # s that a login lasts
_ROLES: tuple[Role, ...] = ("editor", "viewer")


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
