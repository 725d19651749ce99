"""Checks that every request has to pass, and headers that every answer carries."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Collection
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgecount._web.access import Access, Role, is_loopback
from edgecount._web.limits import RateLimit

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none, forms are sent with "Origin: null"
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MOST_BYTES = 256 * 1024  # of a request's body
_BODY_SECONDS = 15.0  # in which it has to come
_LONGEST_TARGET = 4096  # of path and query
# Without a token; a session may have ended before somebody leaves it:
_OPEN = frozenset({"/login", "/logout", "/static/login.css", "/static/icon.svg", "/health"})
_FROM_HERE = frozenset({"same-origin", "none"})  # the page itself, or what somebody has typed
_SAFE = frozenset({"GET", "HEAD"})
_TRIES, _TRY_SECONDS = 8, 120.0  # wrong tokens of one client
_WRITE_SECONDS = 60.0  # in which all writes come back
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")


@dataclass(frozen=True)
class Limits:
    """Limits and names of an app behind the guard.

    Attributes:
        cookie: name of the cookie of a login. Browsers send cookies to every port of a host.
        other_name: line for who asks for the page under a name that is not its own.
        body: most bytes of a request's body.
        writes: changes that a client may make in a minute.
        read_only: line for who would change something where nothing may be changed; empty: it may.
    """

    cookie: str
    other_name: str
    body: int = MOST_BYTES
    writes: int = 60
    read_only: str = ""


class Guard:
    """Middleware that turns away what is not meant for the page, and knows who asks.

    Args:
        app: the app behind it; `scope["state"]["role"]` is "viewer", "editor" or None there, and
            of a WebSocket `scope["state"]["stays"]` tells whether its login still holds.
        access: the tokens.
        limits: limits and names of the app.
        hosts: names by which the page may be asked for, besides addresses and this machine's name.
        listens: name or address that the page listens at.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        limits: Limits,
        hosts: Collection[str] = (),
        listens: str = "127.0.0.1",
    ) -> None:
        self._app, self._access, self._limits = app, access, limits
        self._local = is_loopback(listens)
        machine = socket.gethostname().lower()
        own = {"localhost"} if self._local else {"localhost", machine, f"{machine}.local"}
        self._hosts = own | {host.lower() for host in hosts}
        self.tries = RateLimit(_TRIES, _TRY_SECONDS)
        self._writes = RateLimit(limits.writes, _WRITE_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or turn it away by one line of JSON."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        role, refusal = self._decide(scope, headers)
        if scope["type"] == "websocket":
            scope.setdefault("state", {}).update(stays=lambda: self._stays(headers, role))
            await self._websocket(scope, receive, send, role, refusal)
            return
        send = _with_headers(send, private=not scope["path"].startswith("/static/"))
        if refusal is not None:
            is_visit = scope["path"] == "/" and refusal[0] == 401
            answer = RedirectResponse("/login", 303) if is_visit else _refuse(refusal)
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {}).update(role=role, guard=self)
        try:
            body = await asyncio.wait_for(_read(headers, receive, self._limits.body), _BODY_SECONDS)
        except asyncio.TimeoutError:
            await _refuse((408, "the request did not come to its end"))(scope, receive, send)
            return
        if body is None:
            text = f"expected {self._limits.body // 1024} kB at most"
            await _refuse((413, text))(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _websocket(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        role: Role | None,
        refusal: tuple[Any, ...] | None,
    ) -> None:
        if refusal is not None:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        scope.setdefault("state", {}).update(role=role, guard=self)
        await self._app(scope, receive, send)

    def _decide(self, scope: Scope, headers: Headers) -> tuple[Role | None, tuple[Any, ...] | None]:
        """Return the role, and why the request is turned away: status, text, seconds to wait."""
        is_write = scope["type"] == "websocket" or scope["method"] not in _SAFE
        refusal = self._check_request(scope, headers, is_write=is_write)
        if refusal is not None:
            return None, refusal
        role, wait = self._role(scope, headers)
        if wait:
            return None, (429, f"too many wrong tokens; wait {wait:.0f} s", wait)
        if scope["path"] in _OPEN:
            return role, None
        if role is None:
            return None, (401, "a token is needed: log in, or send Authorization: Bearer TOKEN")
        return role, self._forbid(scope, role) if is_write else None

    def _check_request(
        self, scope: Scope, headers: Headers, *, is_write: bool
    ) -> tuple[Any, ...] | None:
        """Return why a request is turned away, whoever asks."""
        target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if target > _LONGEST_TARGET:
            return 414, "the address is too long"
        if not self._is_known_host(headers.getlist("host")):
            return 421, self._limits.other_name
        is_from_here = headers.get("sec-fetch-site", "none") in _FROM_HERE
        if is_write and not (is_from_here and _is_same_origin(headers)):
            return 403, "requests from other sites are not taken"
        # Another site may lead people here, and include nothing of what is here.
        if not is_from_here and headers.get("sec-fetch-dest") != "document":
            return 403, "other sites cannot include anything of this page"
        return None

    def _forbid(self, scope: Scope, role: Role) -> tuple[Any, ...] | None:
        if scope["type"] == "websocket":
            return None
        if self._limits.read_only:
            return 403, self._limits.read_only
        if role != "editor":
            return 403, "only editors may change something; log in with the editors' token"
        wait = self._writes.take(client_of(scope))
        return (429, f"too many changes; wait {wait:.0f} s", wait) if wait else None

    def _role(self, scope: Scope, headers: Headers) -> tuple[Role | None, float]:
        """Return the role, and the seconds to wait after too many wrong tokens."""
        if self._access.is_open:
            return "editor", 0.0
        given = headers.get("authorization", "")
        if given:
            client = client_of(scope)
            if wait := self.tries.wait(client):
                return None, wait
            kind, _, token = given.partition(" ")
            role = self._access.role_of(token.strip()) if kind.lower() == "bearer" else None
            if role is None:
                self.tries.take(client)
            return role, 0.0
        return self._access.role_of_cookie(_cookie(headers, self._limits.cookie)), 0.0

    def _stays(self, headers: Headers, role: Role | None) -> bool:
        """Return whether who was let in would be let in now: logins end, connections need not."""
        if self._access.is_open or headers.get("authorization"):
            return True
        return self._access.role_of_cookie(_cookie(headers, self._limits.cookie)) == role

    def _is_known_host(self, given: list[str]) -> bool:
        """Return whether a request asks for this page, and not for a name that was bent to it.

        A page of another site can have its own name resolved to this machine (DNS rebinding) and
        read the answers. It cannot do that with an address or with this machine's own name.
        """
        found = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        if found is None:
            return False
        host = found[1].lower().rstrip(".")
        try:
            address = ip_address(host.strip("[]"))
        except ValueError:
            return host in self._hosts
        return address.is_loopback or not self._local


def client_of(scope: Scope) -> str:
    """Return who asks: an IPv4 address, or an IPv6 network, of which one has all addresses."""
    client = scope.get("client")
    text = str(client[0]) if client else "unknown"
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if isinstance(address, IPv4Address):
        return text
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


def _is_same_origin(headers: Headers) -> bool:
    """Return whether a request names the page itself as where it comes from, or no page at all."""
    origins = headers.getlist("origin")
    if not origins:
        return True
    # A proxy that ends TLS is asked by https and asks by http: only the host and port are compared.
    try:
        parts = urlsplit(origins[0])
    except ValueError:
        return False
    return (
        len(origins) == 1
        and parts.scheme in {"http", "https"}
        and parts.netloc.lower() == headers.get("host", "").lower()
    )


def _cookie(headers: Headers, name: str) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _with_headers(send: Send, *, private: bool) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if private:
                headers["Cache-Control"] = "no-store"
        await send(message)

    return wrapped


def _refuse(refusal: tuple[Any, ...]) -> JSONResponse:
    status, text, *wait = refusal
    headers = {"Retry-After": str(max(1, round(wait[0])))} if wait else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": text}, status, headers)


async def _read(headers: Headers, receive: Receive, most: int) -> bytes | None:
    """Return a request's body; None if it has more bytes than ``most``."""
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > most:
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    parts = [body]

    async def replay() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        return await receive()

    return replay
