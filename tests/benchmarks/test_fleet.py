"""The simulated fleet sends what the service sends, and its measurements run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
def test_packets_are_those_of_the_real_client() -> None:
    from fleet_load import packets
    from fleet_load.boxes import Message
    from paho.mqtt.client import Client, MQTTMessageInfo
    from paho.mqtt.enums import CallbackAPIVersion

    sent: list[bytes] = []

    class Sockets(Client):
        """A client that is connected to a list."""

        def _packet_queue(self, command: int, packet: Any, *_: object, **__: object) -> Any:
            del command
            sent.append(bytes(packet))

    client = Sockets(CallbackAPIVersion.VERSION2, client_id="box")
    client.will_set("edgecount/status", "offline", qos=1, retain=True)
    client._send_connect(30)
    assert sent.pop() == packets.connect("box", ("edgecount/status", "offline"))
    for sure, retain, size in ((False, True, 3), (True, False, 200), (True, True, 20_000)):
        message = Message("edgecount/door/state", b"x" * size, sure=sure, retain=retain)
        info = MQTTMessageInfo(7)
        client._send_publish(
            7, b"edgecount/door/state", message.payload, int(sure), retain, 0, info
        )
        assert sent.pop() == packets.publish(message, 7)


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
