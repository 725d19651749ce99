"""The whole service: real RTSP cameras, a real broker, a real receiver, files and the history."""

from __future__ import annotations

import contextlib
import csv
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from watching import until

pytest.importorskip("paho.mqtt", reason="pip install edgecount[watch]")
pytest.importorskip("prometheus_client", reason="pip install edgecount[watch]")

from camera_servers import INSTALL, CameraServer, gstreamer_encoders
from edgecount import EdgeCounter
from edgecount.runtime.backends.fake import draw_maps
from edgecount.watch.config import load
from edgecount.watch.history import History
from edgecount.watch.service import Service
from mosquitto import Listener, Mosquitto
from timed_backend import TimedBackend

CONFIG = """
cameras:
  door:
    source: rtsp://127.0.0.1:{door}/door
    smooth: {{median: 0, mean: 0}}
    check_picture: false
    regions:
      left: {{polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}}
    lines:
      middle: {{start: [0.5, 1], end: [0.5, 0]}}
    alarms:
      crowded: {{above: 5, enter: 0.1, leave: 0.1, cooldown: 0}}  # in the whole picture
  hall:
    source: rtsp://127.0.0.1:{hall}/hall
    title: Hall
    smooth: {{median: 0, mean: 0}}
    stall_timeout: 1
    check_picture: false
    alarms:
      crowded: {{above: 5, enter: 0.1, leave: 0.1, cooldown: 0}}
serve: {{}}
history: {{path: {folder}/history.sqlite}}
sinks:
  jsonl: {{path: {folder}/counts.jsonl, every: 0}}
  csv: {{path: {folder}/counts.csv, every: 1}}
  clips: {{folder: {folder}/clips, before: 1, after: 1}}
  mqtt: {{host: 127.0.0.1, port: {broker}, tls: false, every: 0}}
  webhook: {{url: "http://127.0.0.1:{receiver}/hook", spool: {folder}/spool.sqlite}}
  prometheus: {{}}
"""
ALARM = ["raised", "acknowledged", "cleared"]


class Crowd(TimedBackend):
    """A backend that sees as many people as it is told, and notes the pictures' numbers."""

    def __init__(self) -> None:
        super().__init__(0)
        self.people = 2

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        maps = super().infer(inputs)
        height, width = inputs[self._manifest.input.name].shape[2:]
        steps = np.arange(self.people)
        points = np.stack((width * (0.2 + 0.05 * steps), height * (0.5 + 0.03 * steps)), axis=1)
        return {
            name: np.concatenate([one] * len(maps[name]))
            for name, one in (
                (name, values[np.newaxis])
                for name, values in draw_maps(points, height, width, self._manifest).items()
            )
        }


class Receiver(BaseHTTPRequestHandler):
    """Takes what is posted."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.events.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def receiver() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.events = []
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cameras() -> Iterator[dict[str, CameraServer]]:
    if "x264enc" not in gstreamer_encoders():
        pytest.skip(f"no GStreamer with an RTSP server here: {INSTALL}")
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(CameraServer("rtsp", {f"/{name}": {"size": size, "fps": 10}}))
            for name, size in (("door", [640, 480]), ("hall", [320, 240]))
        }


def ids(events: list[dict[str, Any]], camera: str | None = None) -> list[str]:
    return [one["id"] for one in events if camera in (None, one["camera"])]


def test_everything_gets_what_it_should(cameras: dict[str, CameraServer], tmp_path: Path):
    with (
        Mosquitto(tmp_path, "allow_anonymous true") as broker,
        receiver() as posted,
        Listener(broker.port) as listener,
    ):
        path = tmp_path / "cameras.yaml"
        ports = {name: server.port for name, server in cameras.items()}
        path.write_text(
            CONFIG.format(folder=tmp_path, broker=broker.port, receiver=posted.server_port, **ports)
        )
        crowd = Crowd()
        with EdgeCounter(backend=crowd) as counter, Service(load(path), counter=counter) as service:
            seen = service.subscribe()
            run(service, crowd, cameras, posted, listener)
            metrics = service.metrics().decode()
            views = dict(service.cameras)
            sinks = {one.name: one for one in service.sinks()}
        seen.close()
        until(lambda: listener.kept.get("edgecount/status") == "offline")
    told = check_files(tmp_path, views, path)
    assert all(one.dropped == 0 and one.error is None for one in sinks.values()), sinks
    assert len(sinks) == 8
    for camera in views:
        assert [one["change"] for one in told if one["kind"] == "alarm"].count("raised") == 2
        # One after the other of each camera, each of them once.
        assert ids(posted.events, camera) == ids(told, camera)
        assert {"raised", "cleared"} <= heard(listener, f"edgecount/{camera}/events")
    history = History(load(path).history)
    assert sorted(ids(history.events(None, 0, 1e11))) == sorted(ids(told))
    assert 'edgecount_alarms_raised_total{alarm="crowded",camera="door"} 1.0' in metrics
    assert 'edgecount_alarm_raised{alarm="crowded",camera="hall"} 0.0' in metrics
    assert 'edgecount_camera_stage_seconds_total{camera="hall",stage="infer"}' in metrics
    assert json.loads(listener.kept["edgecount/door/alarms/crowded"])["state"] == "OFF"
    assert json.loads(listener.kept["edgecount/door/state"])["count"] == 2
    assert "edgecount/door/regions/right" in listener.kept
    assert "edgecount/door/regions/left" not in listener.kept  # the reload took it away


def run(
    service: Service,
    crowd: Crowd,
    cameras: dict[str, CameraServer],
    posted: ThreadingHTTPServer,
    listener: Listener,
) -> None:
    """Raise alarms, lose a camera and regain it, and draw another region meanwhile."""

    def changes(camera: str, kind: str = "alarm") -> list[str]:
        return [
            one["change"]
            for one in list(posted.events)
            if (one["camera"], one["kind"]) == (camera, kind)
        ]

    until(lambda: all(view.latest() for view in service.cameras.values()))
    crowd.people = 9
    until(lambda: all(changes(name) == ["raised"] for name in cameras))
    for name in cameras:
        service.acknowledge(name, "crowded")
    topic = "edgecount/hall/alarms/crowded"
    until(lambda: json.loads(listener.kept[topic]).get("acknowledged"))
    crowd.people = 2
    until(lambda: all(changes(name) == ALARM for name in cameras))

    cameras["hall"].kill()
    until(lambda: changes("hall", "camera") == ["lost"])
    until(lambda: listener.kept["edgecount/hall/availability"] == "offline")
    polygon = [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]
    service.change_shapes("door", {"regions": {"right": {"polygon": polygon}}})
    until(lambda: list(service.cameras["door"].latest().regions) == ["right"])
    cameras["hall"].restart()
    until(lambda: changes("hall", "camera") == ["lost", "back"])
    before = service.cameras["hall"].health().counted
    until(lambda: service.cameras["hall"].health().counted > before + 3)
    assert service.cameras["hall"].health().reconnects
    door = service.cameras["door"].health()
    assert (door.reconnects, changes("door", "camera")) == (0, [])


def heard(listener: Listener, topic: str) -> set[str]:
    return {json.loads(text)["change"] for name, text in listener.heard if name == topic}


def check_files(folder: Path, views: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """Check what lies in the files; returns the events."""
    lines = [json.loads(line) for line in (folder / "counts.jsonl").read_text().splitlines()]
    told = [one for one in lines if "change" in one]
    for camera, view in views.items():
        counts = [one for one in lines if one["camera"] == camera and "change" not in one]
        health = view.health()
        assert len(counts) == health.counted  # every picture that was taken was counted and told
        assert health.frames_in == health.counted + health.dropped
        assert {one["count"] for one in counts} == {2, 9}
        clips = list((folder / "clips").glob(f"{camera}-crowded-*.mp4"))
        assert len(clips) == 1
        assert clips[0].stat().st_size > 1000
    with (folder / "counts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["camera"] for row in rows} == set(views)
    assert not list(folder.rglob("*.partial"))
    assert "# in the whole picture" in path.read_text()
    state = json.loads((folder / "history.sqlite.state.json").read_text())
    assert not state["alarms"]["hall"]["crowded"]["raised"]
    assert list(state["lines"]["door"]) == ["middle"]
    return told
