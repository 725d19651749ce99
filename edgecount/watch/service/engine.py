"""The counter of a config, and what the config asks of its model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgecount.watch.config import SettingError

if TYPE_CHECKING:
    from edgecount.counter import EdgeCounter
    from edgecount.manifest import Manifest
    from edgecount.watch.config import WatchConfig


def engine_of(config: WatchConfig) -> tuple[object, ...]:
    """Return the settings that a counter is opened by; where they are the same, it can stay."""
    engine = config.model, config.backend, config.device, config.precision, config.threads
    return *engine, config.max_side, config.zoom


def open_counter(config: WatchConfig) -> EdgeCounter:
    """Open the counter that a config asks for; an engine that does not fit here is not rebuilt.

    Raises:
        EdgeCountError: the model or its engine cannot be used; see `EdgeCounter`.
    """
    from edgecount.counter import EdgeCounter

    side: Any = config.max_side
    return EdgeCounter(
        config.model,
        backend=config.backend,
        device=config.device,
        precision=config.precision,
        threads=config.threads,
        max_side=side,
        zoom=config.zoom,
    )


def check_alarms(config: WatchConfig, manifest: Manifest) -> None:
    """Refuse alarms that compare what the counts of a model do not have.

    Raises:
        SettingError: there is one; see `unfit_alarms`.
    """
    for error in unfit_alarms(config, manifest):
        raise error


def unfit_alarms(config: WatchConfig, manifest: Manifest) -> Iterator[SettingError]:
    """Yield an error for each alarm by the low end of an interval that no count has.

    Args:
        config: the config.
        manifest: the model's, ``counter.manifest``.
    """
    if config.zoom:
        why = f"with zoom {config.zoom} counts have no interval: leave zoom at 0"
    elif manifest.postprocess.interval is None:
        why = f"counts of {manifest.name} have no interval: use another model"
    else:
        return
    for name, camera in config.cameras.items():
        for alarm, rule in camera.alarms.items():
            if rule.by == "low":
                yield SettingError(
                    ("cameras", name, "alarms", alarm, "by"),
                    f"expected count or per_m2, got low, and {why}, or compare by count",
                )
