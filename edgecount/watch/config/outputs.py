"""Settings of the service's outputs: the page, the history, and the sinks."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from edgecount.watch.config.checks import (
    SettingError,
    check,
    check_finite,
    check_path,
    check_seconds,
)

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})")
_TOPIC = re.compile(r"[^\x00-\x1f+#]{1,200}")
_HOW_TO = (
    "other machines can reach this address, which needs a token: create one with  edgecount watch "
    "--new-token page.token  and set token_file: page.token (--token-file page.token)"
)


@dataclass(frozen=True)
class ServeConfig:
    """The page.

    Attributes:
        address: host and port to listen on; port 0: a free one.
        token_file: file with the editors' token; None: no token, for loopback addresses only.
        viewer_token_file: file with the token of viewers, who cannot change anything.
        read_only: whether nothing can be changed from the page.
        hosts: further host names under which the page is reached, such as a proxy's.
    """

    address: str = "127.0.0.1:8080"
    token_file: Path | None = None
    viewer_token_file: Path | None = None
    read_only: bool = False
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        match = _ADDRESS.fullmatch(self.address)
        good = match is not None and int(match[2]) < 65536
        check(good, "address", "HOST:PORT such as 127.0.0.1:8080 or [::1]:8080", self.address)
        for key in ("token_file", "viewer_token_file"):
            check_path(key, getattr(self, key))
        if self.viewer_token_file is not None and self.token_file is None:
            raise SettingError(("viewer_token_file",), "editors need a token, too: set token_file")
        if self.token_file is None and not self.is_loopback:
            raise SettingError(("address",), _HOW_TO)
        for index, name in enumerate(self.hosts):
            if not re.fullmatch(r"[A-Za-z0-9.:_\[\]-]{1,253}", name):
                raise SettingError(("hosts", index), "expected a host's name", name)

    @property
    def host(self) -> str:
        """The host without the brackets of IPv6."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port; 0: one that is free."""
        return int(self.address.rpartition(":")[2])

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True)
class HistoryConfig:
    """The history of counts, in SQLite.

    Attributes:
        path: the file.
        minutes: days for which values per minute are kept.
        hours: days for which values per hour, and events, are kept.
        days: days for which values per day are kept.
    """

    path: Path = Path("edgecount.sqlite")
    minutes: int = 31
    hours: int = 400
    days: int = 4000

    def __post_init__(self) -> None:
        check_path("path", self.path)
        for key in ("minutes", "hours", "days"):
            check(1 <= getattr(self, key) <= 36_600, key, "days, 1 to 36600", getattr(self, key))


@dataclass(frozen=True)
class KeepConfig:
    """Pictures that are kept for labelling, as they are: their heads are not pixelated.

    Attributes:
        folder: where they are written.
        size_mb: size limit of the folder in megabytes; then no more pictures are kept.
    """

    folder: Path = Path("to-label")
    size_mb: float = 1000.0

    def __post_init__(self) -> None:
        check_path("folder", self.folder)
        check_finite("size_mb", self.size_mb, 1, 1e7, "megabytes")


@dataclass(frozen=True)
class _TextFile:
    """A text file that is appended to and rotated by size."""

    path: Path
    every: float
    size_mb: float = 100.0
    keep: int = 10

    def __post_init__(self) -> None:
        check_path("path", self.path)
        check_seconds(self, "every")
        check_finite("size_mb", self.size_mb, 0.01, 1e6, "megabytes")
        check(0 <= self.keep <= 1000, "keep", "files, 0 to 1000", self.keep)


@dataclass(frozen=True)
class JsonlConfig(_TextFile):
    """Readings and events as lines of JSON.

    Attributes:
        path: the file.
        every: seconds between two readings of a camera; 0: all of them.
        size_mb: megabytes after which a new file is begun.
        keep: older files that are kept.
    """

    path: Path = Path("counts.jsonl")
    every: float = 1.0


@dataclass(frozen=True)
class CsvConfig(_TextFile):
    """Readings as a table.

    Attributes:
        path: the file.
        every: seconds between two readings of a camera; 0: all of them.
        size_mb: megabytes after which a new file is begun.
        keep: older files that are kept.
    """

    path: Path = Path("counts.csv")
    every: float = 60.0


@dataclass(frozen=True)
class ClipsConfig:
    """Annotated clips of what happened around an alarm.

    Attributes:
        folder: where they are put.
        before: seconds before the alarm,
        after: and after it.
        size_mb: megabytes of clips that are kept; the oldest go first.
    """

    folder: Path = Path("clips")
    before: float = 5.0
    after: float = 10.0
    size_mb: float = 5000.0

    def __post_init__(self) -> None:
        check_path("folder", self.folder)
        # The pictures before an alarm wait in memory.
        for key, most in (("before", 60), ("after", 600)):
            check_finite(key, getattr(self, key), 0, most, "seconds")
        check_finite("size_mb", self.size_mb, 1, 1e7, "megabytes")


@dataclass(frozen=True)
class MqttConfig:
    """A broker of MQTT.

    Attributes:
        host: its name or address.
        port: its port; 0: 8883 with TLS, 1883 without.
        tls: whether the connection is encrypted.
        ca_file: certificates to trust, PEM; None: the system's.
        user: name to log in with.
        password_file: file with the password.
        topic: start of every topic.
        discovery: Home Assistant's prefix for its discovery; None: none is announced.
        every: seconds between two readings of a camera; 0: all of them.
    """

    host: str
    port: int = 0
    tls: bool = True
    ca_file: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    topic: str = "edgecount"
    discovery: str | None = "homeassistant"
    every: float = 5.0

    def __post_init__(self) -> None:
        good = bool(re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", self.host))
        check(good, "host", "a host's name or address, without a port", self.host)
        check(0 <= self.port < 65536, "port", "a port, 1 to 65535", self.port)
        if not self.port:
            object.__setattr__(self, "port", 8883 if self.tls else 1883)
        for key in ("ca_file", "password_file"):
            check_path(key, getattr(self, key))
        if self.password_file is not None and self.user is None:
            raise SettingError(("password_file",), "a password needs its user: give user, too")
        if self.ca_file is not None and not self.tls:
            raise SettingError(("ca_file",), "it is of no use with tls: false")
        for key in ("topic", "discovery"):
            topic = getattr(self, key)
            good = topic is None or (bool(_TOPIC.fullmatch(topic)) and topic == topic.strip("/ "))
            check(good, key, "a topic without + and #, and no / at its ends", topic)
        check_seconds(self, "every")


@dataclass(frozen=True)
class WebhookConfig:
    """A receiver of events by HTTP.

    Attributes:
        url: its address; may hold a secret, which is in no repr.
        secret_file: file with the secret by which messages are signed; None: they are not.
        ca_file: certificates to trust, PEM; None: the system's.
        spool: file in which events wait while the receiver does not answer.
    """

    url: str = field(repr=False)
    secret_file: Path | None = None
    ca_file: Path | None = None
    spool: Path = Path("spool.sqlite")

    def __post_init__(self) -> None:
        check(_is_web(self.url), "url", "an address such as https://example.org/hook", self.url)
        for key in ("secret_file", "ca_file", "spool"):
            check_path(key, getattr(self, key))
        if self.ca_file is not None and urlsplit(self.url).scheme != "https":
            raise SettingError(("ca_file",), "it is of use with an https address alone")


@dataclass(frozen=True)
class PrometheusConfig:
    """Metrics for Prometheus, at /metrics of the page's address; there is nothing to set."""


@dataclass(frozen=True)
class SinksConfig:
    """The receivers of readings and events; one that is None is not used.

    Attributes:
        jsonl: lines of JSON.
        csv: a table.
        clips: clips of alarms.
        mqtt: a broker.
        webhook: a receiver of events.
        prometheus: metrics.
    """

    jsonl: JsonlConfig | None = None
    csv: CsvConfig | None = None
    clips: ClipsConfig | None = None
    mqtt: MqttConfig | None = None
    webhook: WebhookConfig | None = None
    prometheus: PrometheusConfig | None = None


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return False
    good = parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_good
    return good and url.isprintable() and " " not in url and len(url) <= 4000
