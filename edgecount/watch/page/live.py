"""The WebSocket: readings, events and pictures, as fast as each browser takes them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from edgecount._web.reply import encode
from edgecount.watch.config.checks import CAMERA_ID
from edgecount.watch.page.contract import Service, Subscription
from edgecount.watch.page.messages import (
    LAYERS,
    event_message,
    ground_view,
    reading_message,
    state_message,
)
from edgecount.watch.readings import Event, Reading

_log = logging.getLogger(__name__)

_MOST = 32  # connections
_EVENTS = 256  # that wait for a slow browser; the oldest are dropped, history has them all
_SLOWEST = 60.0  # s that one message may take: a picture on a slow way; the page waits as long
_STATE = 1.0  # s between states
_WIDEST = 1280  # px of a picture
_LONGEST = 16_384  # characters of a message from a browser
_BURST, _PER_SECOND = 1000.0, 500.0  # messages from a browser
_WATCH = 20.0  # messages that one of those counts for which make readings be sent anew


class Hub:
    """Hands what a service tells to all connections; one thread waits for the service.

    Args:
        service: the service.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._connections: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscription: Subscription | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen to the service, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._subscription = self.service.subscribe()
        self._thread = threading.Thread(
            target=self._listen, args=(self._subscription,), name="edgecount-page", daemon=True
        )
        self._thread.start()

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        loop, self._loop = self._loop, None
        if self._subscription is not None:
            self._subscription.close()
        for connection in list(self._connections):
            await connection.close()
        if self._thread is not None and loop is not None:
            await loop.run_in_executor(None, self._thread.join, 5.0)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve a connection until it ends."""
        if len(self._connections) >= _MOST or self._loop is None:
            await websocket.close(1013)
            return
        await websocket.accept()
        connection = Connection(websocket, self.service, websocket.state.stays)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def _listen(self, subscription: Subscription) -> None:
        while (loop := self._loop) is not None:
            try:
                items = subscription.get(0.5)
            except Exception:  # noqa: BLE001 (whatever it is, the service must go on)
                _log.exception("the page gets nothing from the service")
                return
            # The loop may have been closed since it was looked at.
            with contextlib.suppress(RuntimeError):
                if items:
                    loop.call_soon_threadsafe(self._hand_on, items)

    def _hand_on(self, items: list[Reading | Event]) -> None:
        for connection in self._connections:
            connection.offer(items)


class Connection:
    """One browser; of readings and pictures that it is too slow for it gets the newest.

    Args:
        websocket: an accepted connection.
        service: the service.
        stays: tells whether the login still holds.
    """

    def __init__(self, websocket: WebSocket, service: Service, stays: Callable[[], bool]) -> None:
        self._socket, self._service, self._stays = websocket, service, stays
        self._watched: dict[str, frozenset[str]] = {}  # layers by camera
        self._wanted: set[str] = set()  # cameras whose next picture has been asked for
        self._shown: dict[str, float] = {}  # time of the newest picture that was sent
        self._readings: dict[str, Reading] = {}
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._changed = asyncio.Event()
        self._is_ended = False
        self._tokens, self._at = _BURST, 0.0

    def offer(self, items: list[Reading | Event]) -> None:
        """Note what is to be sent; called in the loop."""
        for item in items:
            if isinstance(item, Event):
                self._events.append(item)
            else:
                self._readings[item.camera] = item
        self._changed.set()

    async def run(self) -> None:
        """Receive and send until either ends."""
        tasks = [asyncio.ensure_future(one) for one in (self._receive(), self._send_all())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Before Python 3.12 wait_for may swallow a cancellation: the sender looks, too.
            self._is_ended = True
            self._changed.set()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        gone = (WebSocketDisconnect, asyncio.CancelledError, asyncio.TimeoutError, OSError)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, gone):
                _log.error("a browser's connection failed: %s", result)
        await self.close(1008 if done == {tasks[0]} else 1001)

    async def close(self, code: int = 1001) -> None:
        """Close the connection, if it is still open."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            gone = (RuntimeError, OSError, asyncio.TimeoutError, WebSocketDisconnect)
            with contextlib.suppress(*gone):
                await asyncio.wait_for(self._socket.close(code), 2.0)

    async def _receive(self) -> None:
        """Take the browser's messages; ends at the first one that makes no sense."""
        loop = asyncio.get_running_loop()
        while True:
            text = await self._socket.receive_text()
            now = loop.time()
            self._tokens = min(_BURST, self._tokens + (now - self._at) * _PER_SECOND)
            self._at = now
            cost = self._take(text) if len(text) <= _LONGEST else None
            if cost is None or cost > self._tokens:
                return
            self._tokens -= cost

    def _take(self, text: str) -> float | None:
        """Do as a message says; returns for how many it counts, None if it makes no sense."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict):
            return None
        cost = 1.0
        kind = message.get("type")
        if kind == "watch":
            watched = _watched(message.get("cameras"), self._service)
            if watched is None:
                return None
            cost = _WATCH
            self._watched = watched
            self._shown = {}  # who watches anew has forgotten the pictures
            self._wanted &= watched.keys()
            self._readings |= _latest(self._service, watched)
        elif kind == "next" and isinstance(message.get("camera"), str):
            if message["camera"] in self._watched:
                self._wanted.add(message["camera"])
        else:
            return None
        self._changed.set()
        return cost

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        state_due = loop.time()
        while not self._is_ended:
            if loop.time() >= state_due:
                if not self._stays():
                    return
                # With the time: a board without a battery may learn it long after it has begun.
                more = {"time": time.time()}
                state = await run_in_threadpool(state_message, self._service, **more)
                await self._send(encode(state))
                state_due = loop.time() + _STATE
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(0.0, state_due - loop.time()))
            self._changed.clear()
            while self._events:
                await self._send(encode(event_message(self._events.popleft())))
            await self._send_readings()
            for camera in list(self._wanted):
                await self._send_picture(camera)

    async def _send_readings(self) -> None:
        while self._readings:
            camera, reading = self._readings.popitem()
            layers = self._watched.get(camera, frozenset())
            text = await run_in_threadpool(_reading_text, self._service, reading, layers)
            await self._send(text)

    async def _send_picture(self, camera: str) -> None:
        view = self._service.cameras.get(camera)
        reading = None if view is None else view.latest()
        if view is None or reading is None or self._shown.get(camera) == reading.time:
            return
        picture = await run_in_threadpool(lambda: view.jpeg(width=_WIDEST))
        if picture is None:
            return
        self._wanted.discard(camera)
        self._shown[camera] = reading.time
        name = camera.encode("ascii")
        head = bytes([len(name)]) + name + struct.pack(">d", reading.time)
        await self._send(head + picture)

    async def _send(self, message: str | bytes) -> None:
        send: Callable[[Any], Any] = (
            self._socket.send_text if isinstance(message, str) else self._socket.send_bytes
        )
        await asyncio.wait_for(send(message), _SLOWEST)


def _reading_text(service: Service, reading: Reading, layers: frozenset[str]) -> str:
    view = service.cameras.get(reading.camera)
    ground = None
    if view is not None and "map" in layers and reading.result is not None:
        ground = ground_view(view.shapes().get("ground"), reading.result.size)
    return encode(reading_message(reading, layers, ground))


def _latest(service: Service, watched: Mapping[str, frozenset[str]]) -> dict[str, Reading]:
    """Return the newest readings, so that a browser need not wait for the next ones."""
    views = {name: service.cameras.get(name) for name in watched}
    readings = {name: view.latest() for name, view in views.items() if view is not None}
    return {name: reading for name, reading in readings.items() if reading is not None}


def _watched(cameras: object, service: Service) -> dict[str, frozenset[str]] | None:
    """Return the layers of each camera; None if the message makes no sense."""
    if not isinstance(cameras, dict):
        return None
    watched: dict[str, frozenset[str]] = {}
    for name, asked in cameras.items():
        if not (CAMERA_ID.fullmatch(name) and isinstance(asked, dict)):
            return None
        if name in service.cameras:
            watched[name] = frozenset(layer for layer in LAYERS if asked.get(layer) is True)
    return watched
