"""A Mosquitto of the test's own, and somebody who listens there."""

import contextlib
import shutil
import socket
import subprocess
import threading
import time

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

DEADLINE = 30.0  # s


def program():
    """Return Mosquitto's path, or skip the test."""
    # Debian has it where only root looks.
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if found is None:
        pytest.skip("Mosquitto is not installed: apt install mosquitto")
    return found


class Mosquitto:
    """A broker on a free port of the loopback, that can be killed and started again."""

    def __init__(self, folder, *settings):
        self.program, self.folder, self.settings = program(), folder, settings
        self.port, self.process = 0, None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        end = time.monotonic() + DEADLINE
        while True:
            self.port = self.port or free_port()
            lines = [f"listener {self.port} 127.0.0.1", "user root", *self.settings]
            config = self.folder / "mosquitto.conf"
            config.write_text("\n".join([*lines, ""]))
            command = [self.program, "-c", str(config)]
            log = (self.folder / "mosquitto.log").open("ab")
            with log:
                self.process = subprocess.Popen(command, stdout=log, stderr=log)
            while self.process.poll() is None:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                    return
                time.sleep(0.02)
            assert time.monotonic() < end, (self.folder / "mosquitto.log").read_text()

    def kill(self):
        self.process.kill()
        self.process.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Listener:
    """Somebody who hears everything: `kept` is what the broker keeps, `heard` all in order."""

    def __init__(self, port, prepare=lambda client: None):
        self.kept, self.heard = {}, []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        prepare(self._client)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self):
        assert self._subscribed.wait(DEADLINE)
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client, _data, message):
        text = message.payload.decode()
        self.heard.append((message.topic, text))
        self.kept[message.topic] = text
        if not text:
            del self.kept[message.topic]
