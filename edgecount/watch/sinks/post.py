"""One try to give a message to a receiver by HTTP."""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from edgecount.errors import ConfigError, EdgeCountError, MissingExtraError
from edgecount.watch.config import ssl_context

_HOPS = 3  # requests of a try that follows redirects within one host
_MOST_ANSWER = 65536  # bytes of an answer that are read
_WHOLE = 3.0  # time-outs that a request and its answer may take together
_LONGEST_PAUSE = 3600.0  # s that a receiver may ask for
_LATER = frozenset({408, 425, 429})  # client errors that time may mend


class Outcome(enum.Enum):
    """End of a try."""

    TAKEN = "taken"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True)
class Answer:
    """The outcome of a try to send a message.

    Attributes:
        outcome: whether the message was taken, is to be tried again, or never will be taken.
        reason: a sentence without secrets; empty of one that was taken.
        pause: seconds that the receiver asks for before the next try.
    """

    outcome: Outcome
    reason: str = ""
    pause: float = 0.0


class Poster:
    """A sender of signed JSON to one address, which keeps its connection.

    Messages are signed as Standard Webhooks 1.0.0 says, https://www.standardwebhooks.com: the
    headers ``webhook-id``, ``webhook-timestamp`` (UNIX time of the try) and ``webhook-signature``
    (``v1,`` and base64 of the HMAC-SHA256 of id, time and body, joined by dots). The id is that of
    the event, in every try, also as ``Idempotency-Key``.

    Args:
        url: http or https address; user and password in it are sent as basic authentication.
        secret: what messages are signed with: text, or ``whsec_`` and base64; or what reads it
            before each try; None: they are not signed.
        ca_file: PEM file of the authority that signed the receiver's certificate; None: those that
            the system trusts.
        timeout: seconds that connecting and each part of the answer may take; the whole may take
            three times as long.

    Raises:
        ConfigError: the address is none.
        MissingExtraError: urllib3 is not installed.
    """

    def __init__(
        self,
        url: str,
        secret: str | Callable[[], str] | None,
        *,
        ca_file: str | Path | None = None,
        timeout: float = 10.0,
    ) -> None:
        try:
            import urllib3
        except ImportError:
            raise MissingExtraError("urllib3", "watch", "to send webhooks") from None

        self._urllib3 = urllib3
        self._secret = secret
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json", "User-Agent": "edgecount"}
        self._url, self.shown = _split(url, self._headers)
        self._ca_file = ca_file
        self._pool: Any = None  # made when it is needed, and again after a certificate was refused
        self._limit = _Limit()

    def post(self, identity: str, body: bytes) -> Answer:
        """Send a message once.

        Raises:
            EdgeCountError: the secret or the authority's certificate cannot be read.
        """
        url, hops = self._url, 0
        while True:
            try:
                with self._limit.within(_WHOLE * self._timeout):
                    status, headers = self._send(url, identity, body)
            except EdgeCountError:
                raise
            except (self._urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                late = f"gave no whole answer in {_WHOLE * self._timeout:g} s"
                reason = late if self._limit.is_over else self._explain(error)
                return Answer(Outcome.LATER, f"{self.shown} {reason}")
            finally:
                if self._limit.is_over:
                    self.close()
            target = _target(url, headers.get("Location", ""))
            hops += 1
            # Others (301, 302, 303) ask for a GET, which would lose the message.
            if status not in {307, 308} or _origin(target) != _origin(url) or hops >= _HOPS:
                return self._judge(status, headers, target)
            url = target

    def close(self) -> None:
        """Close the connection."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.clear()

    def _open_pool(self) -> Any:
        if self._pool is None:
            trust: dict[str, Any] = {}
            if urlsplit(self._url).scheme == "https":
                trust["ssl_context"] = ssl_context(self._ca_file)
            wait = self._urllib3.Timeout(connect=self._timeout, read=self._timeout)
            pool = self._urllib3.PoolManager(1, retries=False, timeout=wait, **trust)
            pool.pool_classes_by_scheme = self._limit.pools(self._urllib3)
            self._pool = pool
        return self._pool

    def _send(self, url: str, identity: str, body: bytes) -> tuple[int, Any]:
        headers = {**self._headers, "Idempotency-Key": identity}
        moment = str(int(time.time()))
        headers.update({"webhook-id": identity, "webhook-timestamp": moment})
        secret = self._secret() if callable(self._secret) else self._secret
        if secret:
            headers["webhook-signature"] = sign(secret, identity, moment, body)
        answer = self._open_pool().request(
            "POST", url, body=body, headers=headers, redirect=False, preload_content=False
        )
        try:
            # To the end, if it is near: then the connection serves the next message, too.
            is_whole = len(answer.read(_MOST_ANSWER)) < _MOST_ANSWER
        except BaseException:
            answer.close()
            raise
        if not is_whole:
            answer.close()
        answer.release_conn()
        return answer.status, answer.headers

    def _judge(self, status: int, headers: Any, target: str) -> Answer:
        said = f"{self.shown} answered {status}"
        if 200 <= status < 300:
            return Answer(Outcome.TAKEN)
        if 300 <= status < 400:
            where = _origin(target)[1] or "nowhere"
            return Answer(Outcome.LATER, f"{said}: it points to {where}; give that address as url")
        if 400 <= status < 500 and status not in _LATER:
            return Answer(Outcome.REFUSED, said)
        return Answer(Outcome.LATER, said, _pause(headers.get("Retry-After", "")))

    def _explain(self, error: Exception) -> str:
        """Return what went wrong; urllib3's own messages hold the address with its secrets."""
        known = self._urllib3.exceptions
        if isinstance(error, known.SSLError):
            self.close()  # a ca_file that is mended holds from the next try on
            return _of_tls(error)
        if isinstance(error, known.NameResolutionError):
            return "cannot be reached: its name is not known"
        if isinstance(error, (known.NewConnectionError, known.ConnectTimeoutError)):
            cause = error.__cause__ or error.__context__
            return f"cannot be reached: {getattr(cause, 'strerror', None) or 'no answer'}"
        if isinstance(error, known.ReadTimeoutError):
            return f"gave no answer in {self._timeout:g} s"
        if isinstance(error, known.ProtocolError):
            return "broke off the connection"
        return f"could not be sent to ({type(error).__name__})"


class _Limit:
    """A time after which a request ends: time-outs begin anew with each byte of an answer.

    Attributes:
        is_over: whether the last request took longer.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Shut the socket if the block takes longer."""
        self.is_over = False
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def pools(self, urllib3: Any) -> dict[str, Any]:
        """Return urllib3's pools by scheme, with connections whose sockets are known here."""
        kinds = {"http": urllib3.HTTPConnectionPool, "https": urllib3.HTTPSConnectionPool}
        return {scheme: self._pool(kind) for scheme, kind in kinds.items()}

    def _pool(self, kind: Any) -> Any:
        limit = self

        class Connection(kind.ConnectionCls):  # type: ignore[misc]
            def connect(self) -> None:
                super().connect()
                limit._watch(self.sock)

        return type(kind.__name__, (kind,), {"ConnectionCls": Connection})

    def _watch(self, opened: socket.socket) -> None:
        with self._lock:
            self._socket = opened
            if self.is_over:
                self._shut()

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # Not that of TLS, which would leave the thread that reads without a connection.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _of_tls(error: Exception) -> str:
    cause: Any = error.args[0] if error.args else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted ({cause.verify_message}): for an authority of "
            "your own give ca_file"
        )
    reason = getattr(cause, "reason", None) or type(cause).__name__
    return f"does not agree on TLS ({reason}): is it an https address?"


def sign(secret: str, identity: str, moment: str, body: bytes) -> str:
    """Return the signature of a message, as Standard Webhooks has it.

    Args:
        secret: ``whsec_`` and base64 of the key; any other text is the key itself.
        identity: the message's id.
        moment: UNIX time of the try in whole seconds.
        body: the message.
    """
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret[len("whsec_") :], validate=True)
        except binascii.Error:
            raise ConfigError("secret: expected base64 after whsec_") from None
    digest = hmac.new(key, f"{identity}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _split(url: str, headers: dict[str, str]) -> tuple[str, str]:
    """Return the address without user and password, which go into the headers, and to be shown.

    Shown are scheme, host and port alone: the paths of many receivers are their secret.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError("url: expected an address such as https://example.org/hook")
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port else ""
    if parts.username is not None:
        name, word = unquote(parts.username), unquote(parts.password or "")
        credentials = base64.b64encode(f"{name}:{word}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    return parts._replace(netloc=place, fragment="").geturl(), f"{parts.scheme}://{place}"


def _target(url: str, location: str) -> str:
    """Return the address that a redirect points to; empty if it is none."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port


def _pause(retry_after: str) -> float:
    """Return the seconds that a receiver asks for; 0 if it names a date or none."""
    is_number = retry_after.isascii() and retry_after.isdigit()
    return min(float(retry_after), _LONGEST_PAUSE) if is_number else 0.0
