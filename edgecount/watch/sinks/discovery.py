"""MQTT topics of cameras, and the messages of Home Assistant's discovery."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edgecount.watch.sinks.watched import Watched

_OTHER = re.compile(r"[^A-Za-z0-9_-]+")


def slug(name: str) -> str:
    """Return a name with letters, digits, ``-`` and ``_`` alone, another one for every name."""
    plain = _OTHER.sub("_", name).strip("_")
    if plain == name:
        return name
    # "way in" and "way_in" must not share a topic.
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{plain}_{digest}" if plain else digest


@dataclass(frozen=True)
class Topics:
    """Names of the topics below a base, such as ``edgecount``."""

    base: str

    @property
    def status(self) -> str:
        """Whether the service runs: ``online`` or ``offline``."""
        return f"{self.base}/status"

    @property
    def kept(self) -> str:
        """List of the topics under which something is kept, so that old ones can be deleted."""
        return f"{self.base}/topics"

    def of(self, camera: str, *parts: str) -> str:
        """Return the topic of a camera's part, such as ``edgecount/door/regions/hall``."""
        return "/".join([self.base, *map(slug, (camera, *parts))])

    def all_of(self, camera: str, watched: Watched) -> Iterator[str]:
        """Yield the topics under which something of a camera is kept."""
        yield self.of(camera, "availability")
        yield self.of(camera, "state")
        for kind in ("regions", "lines", "alarms"):
            for name in getattr(watched, kind):
                yield self.of(camera, kind, name)


def announcements(
    prefix: str, topics: Topics, camera: str, watched: Watched, *, version: str, expire: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield topic and content of the discovery messages of a camera, one per entity.

    Args:
        prefix: Home Assistant's own topic, ``homeassistant`` unless it is set otherwise there.
        topics: the camera's topics.
        camera: its id.
        watched: its names.
        version: edgecount's version.
        expire: seconds without a reading after which numbers and the picture's state are
            unavailable.
    """
    node = f"edgecount_{slug(topics.base)}_{slug(camera)}"
    common = {
        "availability": [
            {"topic": topics.status},
            {"topic": topics.of(camera, "availability")},
        ],
        "availability_mode": "all",
        "device": {
            "identifiers": [node],
            "name": watched.title or camera,
            "manufacturer": "edgecount",
            "model": "People counting camera",
            "sw_version": version,
        },
        "origin": {"name": "edgecount", "sw_version": version},
    }
    for component, name, what in _entities(topics, camera, watched, max(1, round(expire))):
        entity = f"{node}_{name}"
        # Home Assistant names entities by the one key from 2025.10 on, and by the other before.
        identity = {
            "unique_id": entity,
            "default_entity_id": f"{component}.{entity}",
            "object_id": entity,
        }
        yield f"{prefix}/{component}/{node}/{name}/config", {**what, **identity, **common}


_Entity = tuple[str, str, dict[str, Any]]


def _entities(topics: Topics, camera: str, watched: Watched, expire: int) -> Iterator[_Entity]:
    state = topics.of(camera, "state")
    yield "sensor", "people", _people("People", state, "smooth", expire, "mdi:account-group")
    yield "sensor", "people_now", _people("People now", state, "count", expire, "mdi:account")
    yield "sensor", "picture", {
        "name": "Picture",
        "state_topic": state,
        "value_template": "{{ value_json.picture }}",
        "expire_after": expire,
        "icon": "mdi:camera",
        "entity_category": "diagnostic",
    }  # fmt: skip
    for region in watched.regions:
        topic = topics.of(camera, "regions", region)
        name = f"region_{slug(region)}"
        yield "sensor", name, _people(region, topic, "smooth", expire, "mdi:vector-polygon")
        if watched.ground:
            density = _people(f"{region} per m²", topic, "per_m2", expire, "mdi:account-multiple")
            unit = {"unit_of_measurement": "people/m²", "suggested_display_precision": 2}
            yield "sensor", f"{name}_per_m2", {**density, **unit}
    for line in watched.lines:
        topic = topics.of(camera, "lines", line)
        for way, icon in (("in", "mdi:location-enter"), ("out", "mdi:location-exit")):
            crossed = _people(f"{line} {way}", topic, way, expire, icon)
            # A smaller value than before is a new beginning to it, as at the hour of the reset.
            total = {**crossed, "state_class": "total_increasing"}
            yield "sensor", f"line_{slug(line)}_{way}", total
    for alarm in watched.alarms:
        topic = topics.of(camera, "alarms", alarm)
        # It never expires: a state is sent when it changes, and stands until then.
        yield "binary_sensor", f"alarm_{slug(alarm)}", {
            "name": alarm,
            "state_topic": topic,
            "value_template": "{{ value_json.state }}",
            "payload_on": "ON",
            "payload_off": "OFF",
            "json_attributes_topic": topic,
            "device_class": "problem",
            "icon": "mdi:account-alert",
        }  # fmt: skip


def _people(name: str, topic: str, key: str, expire: int, icon: str) -> dict[str, Any]:
    return {
        "name": name,
        "state_topic": topic,
        # By its key: "in" is a word of the template's language.
        "value_template": f"{{{{ value_json['{key}'] }}}}",
        "unit_of_measurement": "people",
        "state_class": "measurement",
        "suggested_display_precision": 0,
        "expire_after": expire,
        "icon": icon,
    }
