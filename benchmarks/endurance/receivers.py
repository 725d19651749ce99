"""A broker with somebody who listens there, and a receiver of webhooks, which fail as told."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from typing_extensions import Self

from endurance.proxy import Proxy

_PATIENCE = 30.0  # s
TOPIC = "soak"


class Broker:
    """A Mosquitto with a listener, behind a proxy that the service connects to."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            raise SystemExit("Mosquitto is not installed: apt install mosquitto")
        self._folder = folder
        self._port = free_port()
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {self._port} 127.0.0.1\nallow_anonymous true\nuser root\n")
        self._command = [program, "-c", str(config)]
        self.proxy = Proxy(lambda: self._port)
        self.events: list[dict[str, Any]] = []
        self.readings: list[dict[str, Any]] = []
        self.kept: dict[str, str] = {}
        self._subscribed = threading.Event()

    def __enter__(self) -> Self:
        self._start()
        self.proxy.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.__exit__()
        self._stop()

    def kill(self) -> None:
        """End the broker as a power cut would."""
        self.proxy.mood = "refuse"
        self._stop()

    def restart(self) -> None:
        """Start it again, and let the service in once somebody listens there."""
        self._start()
        self.proxy.mood = "pass"

    def _start(self) -> None:
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                break
            if time.monotonic() > end:
                raise SystemExit("Mosquitto does not start: see mosquitto.log")
            time.sleep(0.05)
        self._subscribed.clear()
        client = self._client = paho.Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda *_: client.subscribe("#", qos=1)
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = self._take
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        if not self._subscribed.wait(_PATIENCE):
            raise SystemExit("Mosquitto does not answer: see mosquitto.log")

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        text = message.payload.decode()
        self.kept[message.topic] = text
        if message.topic.startswith(f"{TOPIC}/"):
            if message.topic.endswith("/events"):
                self.events.append(json.loads(text))
            elif message.topic.endswith("/state") and not message.retain:
                self.readings.append(json.loads(text))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        """Take an event, or fail as the mood wants it."""
        receiver: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mood = receiver.mood
        if mood == "slow":
            receiver.over.wait(3)
        while mood == "hang" and receiver.mood == "hang" and not receiver.over.wait(0.1):
            pass
        status = 500 if mood == "error" else 204
        if status == 204:
            receiver.events.append(json.loads(body))
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Receiver(ThreadingHTTPServer):
    """A receiver of webhooks, behind a proxy that can be shut.

    Attributes:
        mood: "good", "error" (500), "slow" (3 s) or "hang" (no answer).
        events: what it has taken, in order.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mood = "good"
        self.over = threading.Event()
        self.events: list[dict[str, Any]] = []
        self.proxy = Proxy(lambda: self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,))

    def __enter__(self) -> Self:
        self._thread.start()
        self.proxy.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.proxy.__exit__()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Say nothing of connections that broke."""


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
