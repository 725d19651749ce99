"""`edgecount watch` as a process of its own, over a camera of pictures by HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_servers import CameraServer

SECONDS = 60.0  # that a slow machine may take


class Systemd:
    """A socket such as systemd listens at, and what has come there."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.states: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def wait_for(self, key: str, *, after: int = 0) -> int:
        """Wait until a state with a key has come; return how many states had come by then."""
        found: list[int] = []

        def has_come() -> list[int]:
            states = enumerate(self.states[after:], after + 1)
            found.extend(number for number, state in states if key in state)
            return found

        until(has_come, lambda: f"no {key} in {self.states[-3:]}")
        return found[0]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            address = self.address
            sender.sendto(b"", "\0" + address[1:] if address.startswith("@") else address)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while text := self._socket.recv(4096).decode():
            self.states.append(dict(line.split("=", 1) for line in text.split("\n")))


class Watch:
    """A process of `edgecount watch` in a folder of its own."""

    def __init__(self, folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
        self.folder = folder
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "edgecount", "watch", *arguments],
            cwd=folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def log(self) -> list[dict[str, Any]]:
        """Return the log so far, which is of JSON."""
        return [json.loads(line) for line in list(self._lines)]

    def until_log(self, text: str) -> None:
        """Wait for a line of the log that holds a text."""
        until(lambda: any(text in line for line in list(self._lines)), lambda: self._lines[-5:])

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def readline(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; return its exit code."""
        self.send(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        code = self._process.wait(SECONDS)
        self.close()
        return code

    def errors(self) -> list[str]:
        """Return the lines on stderr so far."""
        return list(self._lines)

    def rows(self, name: str = "counts.jsonl") -> list[dict[str, Any]]:
        """Return the whole lines of a file of JSON."""
        path = self.folder / name
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line)


def until(condition: Callable[[], object], shown: Callable[[], object] = lambda: "") -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"it did not come about: {shown()}"
        time.sleep(0.02)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    """`until`, as a fixture because conftest cannot be imported."""
    return until


@pytest.fixture(scope="session")
def camera() -> Iterator[CameraServer]:
    with CameraServer("http", {"/cam": {"size": [320, 240]}}) as server:
        yield server


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(str(tmp_path / "notify"))
    yield made
    made.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    """Start `edgecount watch` with arguments; `NAME=...` is for its environment."""
    made: list[Watch] = []

    def begin(*arguments: object, **environment: str) -> Watch:
        made.append(Watch(tmp_path, list(map(str, arguments)), environment))
        return made[-1]

    yield begin
    for one in made:
        one.close()


@pytest.fixture
def write_config(tmp_path: Path, camera: CameraServer, tiny_model: Path) -> Callable[..., Path]:
    """Write a config of one camera; keywords are replaced in the text."""

    def write(old: str = "", new: str = "") -> Path:
        text = (
            f"model: {tiny_model}\nthreads: 1\ncameras:\n  door:\n    source: {camera.url()}\n"
            "    rate: 10\n    check_picture: false\nsinks:\n  jsonl: {every: 0}\n"
        )
        assert old in text
        path = tmp_path / "cameras.yaml"
        path.write_text(text.replace(old, new, 1) if old else text)
        return path

    return write
