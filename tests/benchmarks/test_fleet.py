"""The simulated fleet sends what the service sends, and its measurements run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("paho.mqtt.client", reason="pip install edgecount[watch]")
pytest.importorskip("prometheus_client", reason="pip install edgecount[watch]")

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SMALL = (
    *("--cameras", "6", "--per-box", "3", "--periods", "2", "--every", "0.4"),
    *("--interval", "0.5", "--scrapes", "2", "--hours", "0.05"),
)


def installed(*programs: str) -> bool:
    return all(shutil.which(one) or shutil.which(one, path="/usr/sbin") for one in programs)


@pytest.fixture
def fleet_load(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "fleet_load"]:
        del sys.modules[name]


@pytest.mark.skipif(
    not installed("mosquitto", "mosquitto_sub", "prometheus", "promtool"),
    reason="apt install mosquitto mosquitto-clients prometheus",
)
def test_a_small_fleet(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "fleet.py"), *SMALL, "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line[:1] == "|"]
    broker, prometheus, history = (one for one in rows if one[0] == "6")
    assert broker[1] == "2"
    assert float(broker[2]) > 0
    assert broker[8] == "0"  # lost
    assert prometheus[1] == "2"
    assert int(prometheus[2]) > 6 * 28
    assert int(history[2]) == 6 * 24 * 60 * 5
    assert "promtool check metrics: nothing to complain of." in done.stdout
    assert not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("fleet_load")
def test_packets_are_those_of_mqtt() -> None:
    from fleet_load import packets
    from fleet_load.boxes import Message

    sure = packets.publish(Message("a/b", b"{}", sure=True, retain=False), 258)
    assert sure == b"\x32\x09\x00\x03a/b\x01\x02{}"
    kept = packets.publish(Message("a/b", bytes(300), sure=False, retain=True), 1)
    assert kept == b"\x31\xb1\x02\x00\x03a/b" + bytes(300)
    opening = packets.connect("box", ("a/status", "offline"))
    assert opening[2:12] == b"\x00\x04MQTT\x04\x2e\x00\x1e"
    assert opening[12:] == b"\x00\x03box\x00\x08a/status\x00\x07offline"


@pytest.mark.usefixtures("fleet_load")
def test_boxes_send_what_their_sink_sends() -> None:
    from fleet_load.boxes import EVERY, alarm, boxes, reading

    (box,) = boxes(2, 8)
    topics = {message.topic for message in box.announcement()}
    assert "edgecount/site-0000/box-0000/status" in topics
    assert any(topic.startswith("homeassistant/sensor/") for topic in topics)
    assert box.will == ("edgecount/site-0000/box-0000/status", "offline")
    first = box.messages(reading("camera-1", 0.0))
    assert first[-1].topic.endswith("camera-1/availability")
    assert box.messages(reading("camera-1", 0.0)) == []
    again = box.messages(reading("camera-1", EVERY))
    parts = ["state", "regions/hall", "regions/queue", "lines/entrance"]
    assert [one.topic.partition("camera-1/")[2] for one in again] == parts
    assert not any(one.sure for one in again)
    raised = box.messages(alarm("camera-0", 1.0, "raised"))
    assert [(one.topic.split("/")[-2:], one.sure, one.retain) for one in raised] == [
        (["camera-0", "events"], True, False),
        (["alarms", "crowded"], True, True),
    ]
