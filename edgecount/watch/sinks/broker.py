"""A connection to an MQTT broker, by paho-mqtt."""

from __future__ import annotations

import contextlib
import math
import os
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecount.errors import ConfigError, MissingExtraError, OutputError
from edgecount.watch.config import ssl_context

_KEEPALIVE = 30  # s; a broker that is silent for one and a half of it is given up
_STEP = 0.1  # s between looks at whether the connection is still there


@dataclass(frozen=True)
class BrokerOptions:
    """How a broker is reached.

    Attributes:
        host: name or address.
        port: TCP port; None: 8883 with TLS, 1883 without.
        tls: whether the connection is encrypted, and the broker's certificate checked.
        ca_file: PEM file of the authority that signed it; None: those that the system trusts.
        user: user's name; None: anonymous.
        password: the user's password, which is never shown; or what reads it at each connection.
        timeout: seconds that connecting, or an answer, may take.

    Raises:
        ConfigError: a value makes no sense.
    """

    host: str
    port: int | None = None
    tls: bool = False
    ca_file: str | Path | None = None
    user: str | None = None
    password: str | Callable[[], str] | None = field(default=None, repr=False)
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if not self.host or any(letter in self.host for letter in "/@ "):
            raise ConfigError("host: expected a name or an address alone, such as broker.local")
        if self.port is not None and not 1 <= self.port <= 65535:
            raise ConfigError(f"port: expected 1 to 65535, got {self.port}")
        if self.ca_file is not None and not self.tls:
            raise ConfigError("ca_file: expected only with tls: true")
        if self.password is not None and self.user is None:
            raise ConfigError("password: expected only with user")

    @property
    def address(self) -> str:
        """Host and port, as messages show them."""
        return f"{self.host}:{self.port or (8883 if self.tls else 1883)}"


class Broker:
    """An open connection; it does not come back by itself, its owner makes another one.

    Args:
        options: how the broker is reached.
        will: topic, and text that the broker keeps there once the connection is lost.
        heard: called with topic, payload and whether it was kept, of what was subscribed to, in a
            thread of the connection; must not raise.

    Raises:
        ConfigError: the file of the authority is none.
        MissingExtraError: paho-mqtt is not installed.
        OutputError: there is no connection.
    """

    def __init__(
        self,
        options: BrokerOptions,
        will: tuple[str, str],
        heard: Callable[[str, bytes, bool], None],
    ) -> None:
        try:
            import paho.mqtt.client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise MissingExtraError("paho-mqtt", "watch", "to send to MQTT brokers") from None

        self._options = options
        self._answered = threading.Event()
        self._lost: str | None = None
        self._is_closing = False
        # An id that nobody else has: brokers put out who comes second with the same one.
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"edgecount-{os.urandom(6).hex()}",
            reconnect_on_failure=False,
        )
        client.connect_timeout = options.timeout
        client.will_set(will[0], will[1], qos=1, retain=True)
        if options.user is not None:
            password = options.password
            client.username_pw_set(options.user, password() if callable(password) else password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = lambda _client, _data, message: heard(
            message.topic, bytes(message.payload), message.retain
        )
        self._client = client
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def publish(self, topic: str, payload: str | bytes, *, sure: bool = False) -> Any:
        """Give a message to the broker, which keeps it for those who come later.

        Args:
            topic: its topic.
            payload: its text; an empty one deletes what was kept.
            sure: whether it is sent until the broker has confirmed it (QoS 1).

        Returns:
            What `wait` waits for.

        Raises:
            OutputError: the connection is lost.
        """
        return self._publish(topic, payload, sure=sure, retain=True)

    def tell(self, topic: str, payload: str | bytes) -> Any:
        """Give a message to those who listen now (QoS 1); as `publish` else."""
        return self._publish(topic, payload, sure=True, retain=False)

    def subscribe(self, topic: str) -> None:
        """Hear what is published under a topic; OutputError if the connection is lost."""
        self.check()
        self._client.subscribe(topic, qos=1)

    def wait(self, message: Any, most: float = math.inf) -> None:
        """Wait until the broker has confirmed a message; OutputError if it does not in time.

        Args:
            message: what `publish` or `tell` returned.
            most: seconds, if that is less than the time-out.
        """
        allowed = min(self._options.timeout, most)
        end = time.monotonic() + allowed
        try:
            while not message.is_published():
                self.check()
                if time.monotonic() > end:
                    raise self._error(f"confirmed nothing for {allowed:g} s")
                message.wait_for_publish(_STEP)
        except (RuntimeError, ValueError) as error:
            raise self._error(f"broke off: {error}") from None

    def check(self) -> None:
        """Refuse a lost connection; OutputError says why it was lost."""
        if self._lost is not None:
            raise self._error(self._lost)

    def close(self) -> None:
        """Take leave, if the broker is there, and end the connection's thread."""
        self._is_closing = True
        with contextlib.suppress(OSError):
            self._client.disconnect()
        self._client.loop_stop()

    def _publish(self, topic: str, payload: str | bytes, *, sure: bool, retain: bool) -> Any:
        self.check()
        message = self._client.publish(topic, payload, qos=int(sure), retain=retain)
        if message.rc:
            self.check()
            raise self._error(f"took no message (error {int(message.rc)})")
        return message

    def _connect(self) -> None:
        options = self._options
        host, _, port = options.address.rpartition(":")
        if options.tls:
            self._client.tls_set_context(_context(options.ca_file))
        try:
            self._client.connect(host, int(port), keepalive=_KEEPALIVE)
        except ssl.SSLCertVerificationError as error:
            raise self._error(
                f"has a certificate that is not trusted ({error.verify_message}): for an authority "
                "of your own give ca_file"
            ) from None
        except (OSError, ValueError) as error:
            reason = "no answer" if isinstance(error, TimeoutError) else _reason(error)
            raise self._error(f"cannot be reached: {reason}") from None
        self._client.loop_start()
        if not self._answered.wait(options.timeout):
            raise self._error(f"gave no answer in {options.timeout:g} s")
        self.check()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            self._lost = f"refused the connection ({reason}): check user and password"
        self._answered.set()

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any
    ) -> None:
        if not self._is_closing and self._lost is None:
            self._lost = f"broke off the connection ({reason})"
        self._answered.set()

    def _error(self, what: str) -> OutputError:
        return OutputError(f"MQTT broker {self._options.address} {what}")


class _Socket(ssl.SSLSocket):
    """A socket that is closed when the handshake fails; paho-mqtt leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands; OSError if they do not agree."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _context(ca_file: str | Path | None) -> ssl.SSLContext:
    context = ssl_context(ca_file)
    context.sslsocket_class = _Socket
    return context


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or f"{error}" or type(error).__name__
