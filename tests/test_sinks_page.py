"""docs/sinks.md says what the sinks write, to the last field."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="pip install edgecount[watch]")

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.config import load
from edgecount.watch.readings import Event, LineReading, Reading, RegionReading
from edgecount.watch.sinks.base import SinkHealth
from edgecount.watch.sinks.discovery import Topics
from edgecount.watch.sinks.documents import event_document, reading_document
from edgecount.watch.sinks.metrics import Metrics
from edgecount.watch.sinks.post import sign
from edgecount.watch.sinks.table import COLUMNS
from edgecount.watch.sinks.watched import Watched

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "sinks.md").read_text(encoding="utf-8")
NOON = 1_795_953_600.0  # 2026-11-29T12:00:00Z
READING = Reading(
    camera="door",
    time=NOON + 0.25,
    count=12.25,
    interval=(10.0, 14.5),
    smooth=12.0,
    smooth_interval=(10.0, 14.0),
    regions={"hall": RegionReading(2.0, 1.98765, 0.5, "A")},
    lines={"entrance": LineReading(3.6, 1.0, NOON - 43_200)},
    picture="good",
    night=False,
    health=SourceHealth(SourceState.LIVE, frames_in=5, counted=4, dropped=1, age=0.1),
    timings={"preprocess": 1.0, "infer": 25.0, "postprocess": 0.5},
)
EVENT = Event(
    camera="door",
    time=NOON + 0.25,
    kind="alarm",
    name="crowded",
    change="raised",
    count=51.0,
    peak=60.0,
    detail="hall: more than 50 people",
    id="5f0c1b9a6a3e4d0f8f1d2c3b4a596877",
    unit="people",
)
WATCHED = {
    "door": Watched("Main door", ("hall",), ("entrance",), ("crowded",), ground=True, rate=5.0)
}


def section(title: str) -> str:
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def blocks(language: str, text: str = PAGE) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def tables(text: str) -> list[list[list[str]]]:
    """Return the rows of each table, without its head."""
    found = re.findall(r"^\|.*\|\n\|[-|]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    return [[[c.strip() for c in row.split("|")[1:-1]] for row in t.splitlines()] for t in found]


def names(table: list[list[str]]) -> list[str]:
    return [name for row in table for name in re.findall(r"`([^`]+)`", row[0])]


def test_documents() -> None:
    text = section("Readings and events")
    documents: list[dict[str, Any]] = [reading_document(READING), event_document(EVENT)]
    for block, table, document in zip(blocks("json", text), tables(text), documents, strict=True):
        shown = json.loads(block)
        assert shown == document
        assert list(shown) == list(document) == names(table)


def test_columns_and_counters() -> None:
    assert names(tables(section("CSV"))[0]) == list(COLUMNS)
    counter = reading_document(READING)["counters"][0]
    assert names(tables(section("Counters as in ONVIF"))[0]) == list(counter)


def test_topics() -> None:
    topics = Topics("edgecount")
    camera = [topics.of("CAMERA", part) for part in ("availability", "state", "events")]
    camera += [topics.of("CAMERA", kind, "NAME") for kind in ("regions", "lines", "alarms")]
    (table,) = tables(section("MQTT"))
    assert set(names(table)) == {topics.status, topics.kept, *camera}
    holds = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[3])) for row in table}
    told = reading_document(READING)
    region, line = told["regions"]["hall"], told["lines"]["entrance"]
    assert holds["edgecount/CAMERA/regions/NAME"] == {*region, "time"}
    assert holds["edgecount/CAMERA/lines/NAME"] == {*line, "time"}


def test_metrics() -> None:
    sinks = [SinkHealth("mqtt", True, 1, 0, 0, None)]
    metrics = Metrics(WATCHED, sinks=lambda: sinks)
    metrics.reading(replace_time(READING))
    text = metrics.render().decode()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    labels = {
        name: ", ".join(re.findall(r'(\w+)="', found))
        for name, found in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE)
    }
    (table,) = tables(section("Prometheus"))
    assert {row[0].strip("`"): (row[1], row[2]) for row in table} == {
        name: (kind, labels.get(name, "")) for name, kind in kinds.items()
    }
    prose = re.sub(r"^\|.*$", "", section("Prometheus"), flags=re.MULTILINE)
    assert set(re.findall(r"\b(edgecount_\w+)", prose)) <= set(kinds)


def replace_time(reading: Reading) -> Reading:
    return Reading(**{**vars(reading), "time": time.time()})


@pytest.mark.parametrize("secret", ["plain text", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_the_check_of_signatures(secret: str) -> None:
    (code,) = blocks("python")
    lines = [line for line in code.splitlines() if line and not line.startswith("import")]
    assert len(lines) <= 10
    scope: dict[str, Any] = {}
    exec(code, scope)  # noqa: S102 (a block of our own page)
    body, moment = b'{"type":"event"}', str(int(time.time()))
    headers = {"webhook-id": "a", "webhook-timestamp": moment}
    headers["webhook-signature"] = sign(secret, "a", moment, body)
    assert scope["is_genuine"](secret, headers, body)
    assert not scope["is_genuine"](secret, headers, body + b" ")
    assert not scope["is_genuine"]("another", headers, body)
    old = str(int(moment) - 3600)
    late = {**headers, "webhook-timestamp": old, "webhook-signature": sign(secret, "a", old, body)}
    assert not scope["is_genuine"](secret, late, body)


def test_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mqtt-password", "webhook-secret"):
        (tmp_path / name).write_text("s3cret\n")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "cameras.yaml"
    cameras = "cameras: {door: {source: rtsp://10.0.0.3/stream}}\nserve: {}\n"
    path.write_text(cameras + blocks("yaml")[0])
    sinks = load(path).sinks
    assert all(value is not None for value in vars(sinks).values())
