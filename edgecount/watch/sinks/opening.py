"""The sinks that a config asks for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.watch.config import SinksConfig, read_secret
from edgecount.watch.sinks.base import Sink, SinkHealth
from edgecount.watch.sinks.watched import Watched

if TYPE_CHECKING:
    from edgecount.runtime.sources.live import SourceHealth
    from edgecount.watch.sinks.clips import Draw


def open_sinks(
    config: SinksConfig,
    cameras: Mapping[str, Watched] | None = None,
    *,
    draw: Draw | None = None,
    health: Callable[[], Mapping[str, SourceHealth]] | None = None,
    sinks: Callable[[], Sequence[SinkHealth]] | None = None,
) -> list[Sink]:
    """Make the sinks of a config; their threads open them.

    Args:
        config: the config's section.
        cameras: cameras by id, for sinks that announce them; None: whatever gives readings.
        draw: what draws clips' pictures; see `Clips`.
        health: what gives the health of every camera now, for metrics.
        sinks: what gives the health of every sink now, for metrics.

    Raises:
        ConfigError: a value makes no sense.
        MissingExtraError: a package is not installed.
    """
    made = list(_local(config, draw))
    made += _remote(config, cameras)
    if config.prometheus is not None:
        from edgecount.watch.sinks.metrics import Metrics

        made.append(Metrics(cameras, health=health, sinks=sinks))
    return made


def _local(config: SinksConfig, draw: Draw | None) -> Iterator[Sink]:
    """Yield the sinks that write files."""
    if (lines := config.jsonl) is not None:
        from edgecount.watch.sinks.jsonl import JsonLines

        yield JsonLines(lines.path, every=lines.every, size_mb=lines.size_mb, keep=lines.keep)
    if (table := config.csv) is not None:
        from edgecount.watch.sinks.table import CsvTable

        yield CsvTable(table.path, every=table.every, size_mb=table.size_mb, keep=table.keep)
    if (clips := config.clips) is not None:
        from edgecount.watch.sinks.clips import Clips

        yield Clips(
            clips.folder,
            before=clips.before,
            after=clips.after,
            size_mb=clips.size_mb,
            draw=draw,
        )


def _remote(config: SinksConfig, cameras: Mapping[str, Watched] | None) -> Iterator[Sink]:
    """Yield the sinks that send."""
    if (mqtt := config.mqtt) is not None:
        from edgecount.watch.sinks.mqtt import Mqtt

        yield Mqtt(
            mqtt.host,
            mqtt.port,
            tls=mqtt.tls,
            ca_file=mqtt.ca_file,
            user=mqtt.user,
            password=_secret(mqtt.password_file),
            topic=mqtt.topic,
            discovery=mqtt.discovery,
            every=mqtt.every,
            cameras=cameras,
        )
    if (webhook := config.webhook) is not None:
        from edgecount.watch.sinks.webhook import Webhook

        yield Webhook(
            webhook.url,
            webhook.spool,
            secret=_secret(webhook.secret_file),
            ca_file=webhook.ca_file,
        )


def _secret(path: Path | None) -> Callable[[], str] | None:
    """Return what reads a secret when it is needed, so that a changed one holds from then on."""
    return None if path is None else functools.partial(read_secret, path)
