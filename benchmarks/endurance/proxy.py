"""A TCP proxy that is the bad network between a service and what it talks to."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable

from typing_extensions import Self

_STEP = 0.1  # s between looks at whether it is closed
_SLOW = 4000  # bytes a second of a slow line


class Proxy:
    """A port of the loopback that passes connections on to another one. A context manager.

    Args:
        target: returns the port that connections go to.
        seed: of what is damaged.

    Attributes:
        port: where it listens, whatever the mood.
        mood: "pass"; "garbage": some bytes of the answers are others; "lossy": some of the
            answers' pieces are missing; "slow": a few kilobytes a second; "hold": whatever comes
            is kept, and nothing is answered; "refuse": connections are closed at once.
    """

    def __init__(self, target: Callable[[], int], seed: int = 0) -> None:
        self.mood = "pass"
        self._target = target
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._is_closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(_STEP)
        self.port = self._server.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed.set()
        for thread in list(self._threads):
            thread.join()
        self._server.close()

    def _start(self, work: Callable[..., None], *given: object) -> None:
        self._threads = [one for one in self._threads if one.is_alive()]
        thread = threading.Thread(target=work, args=given, name="proxy")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_closed.is_set():
            with contextlib.suppress(TimeoutError):
                self._start(self._serve, self._server.accept()[0])

    def _serve(self, near: socket.socket) -> None:
        with near:
            if self.mood == "refuse":
                return
            while self.mood == "hold" and not self._is_closed.wait(_STEP):
                pass  # connected, and not a word
            try:
                far = socket.create_connection(("127.0.0.1", self._target()), timeout=5)
            except OSError:
                return
            with far:
                self._pass_on(near, far)

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        near.settimeout(_STEP)
        far.settimeout(_STEP)
        ended = threading.Event()
        there = threading.Thread(target=self._pump, args=(near, far, ended, False), name="proxy")
        there.start()
        self._pump(far, near, ended, True)
        there.join()

    def _pump(
        self, source: socket.socket, sink: socket.socket, ended: threading.Event, is_answer: bool
    ) -> None:
        try:
            while not ended.is_set() and not self._is_closed.is_set():
                if self.mood == "refuse":
                    return
                if self.mood == "hold":
                    time.sleep(_STEP)
                    continue
                with contextlib.suppress(TimeoutError):
                    data = source.recv(65536)
                    if not data:
                        return
                    self._send(sink, self._damaged(data) if is_answer else data, ended)
        except OSError:
            pass
        finally:
            ended.set()

    def _send(self, sink: socket.socket, data: bytes, ended: threading.Event) -> None:
        while data and not ended.is_set() and not self._is_closed.is_set():
            piece = data
            if self.mood == "slow":
                piece = data[: int(_SLOW * _STEP)]
                time.sleep(_STEP)
            with contextlib.suppress(TimeoutError):
                data = data[sink.send(piece) :]

    def _damaged(self, data: bytes) -> bytes:
        if self.mood == "garbage":
            damaged = bytearray(data)
            for _ in range(max(1, len(data) // 400)):
                damaged[self._random.randrange(len(data))] = self._random.randrange(256)
            return bytes(damaged)
        if self.mood == "lossy" and self._random.random() < 0.3:
            cut = self._random.randrange(len(data))
            return data[:cut]
        return data
