"""The load of a broker: a real Mosquitto, many boxes that publish, and one that listens."""

from __future__ import annotations

import contextlib
import json
import math
import random
import selectors
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from typing_extensions import Self

from fleet_load import packets
from fleet_load.boxes import EVERY, RATE, Box, Message, alarm, boxes, reading
from fleet_load.programs import find, free_port, quantile, running, usage

_SETTINGS = "allow_anonymous true\nset_tcp_nodelay true\nuser root\n"  # as deploy/compose has them
_PATIENCE = 60.0  # s for answers
_ALARMS = 1.0 / 3600  # raised per camera and second, and cleared as often
_QUIET = 1.0  # s without a message after which no other is expected
_PREPARING = 2e-4  # s, far more than it takes to make a reading and what is sent of it


@dataclass(frozen=True)
class Load:
    """The work that a broker had to do, and how it did it.

    Attributes:
        cameras: number of cameras.
        boxes: number of boxes.
        retained: messages that the boxes sent when they started.
        announced: seconds until the broker had confirmed those.
        messages: messages published per second.
        bytes: payload and topics per second.
        cpu: share of a core that the broker took.
        memory: bytes of memory that it had.
        lag: seconds by which the sender was late, 99 of 100 messages.
        lost: readings that did not come.
        lost_events: alarms' messages that did not come.
        readings: seconds from the reading until its messages came.
        events: the same for alarms.
    """

    cameras: int
    boxes: int
    retained: int
    announced: float
    messages: float
    bytes: float
    cpu: float
    memory: int
    lag: float
    lost: int
    lost_events: int
    readings: Sequence[float]
    events: Sequence[float]


@dataclass
class Sending:
    """Messages to send at one moment by one box."""

    time: float
    box: int
    messages: list[Message]


@dataclass
class Client:
    """The connection of a box."""

    box: Box
    socket: socket.socket
    unconfirmed: int = 0
    _number: int = field(default=0, repr=False)

    def send(self, messages: Sequence[Message]) -> int:
        """Send messages at once; returns their bytes."""
        data = b"".join(packets.publish(one, self._next(one)) for one in messages)
        self.socket.sendall(data)
        return len(data)

    def read_confirmations(self) -> None:
        """Read what the broker has confirmed."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise SystemExit("the broker closed a connection: see its log")
        self.unconfirmed -= len(data) // packets.CONFIRMED

    def _next(self, message: Message) -> int:
        self.unconfirmed += message.sure
        self._number = self._number % 65535 + 1
        return self._number


class Fleet:
    """Boxes that are connected to a broker."""

    def __init__(self, made: Sequence[Box], port: int) -> None:
        self._boxes, self._port = made, port
        self._selector = selectors.DefaultSelector()
        self.clients: list[Client] = []

    def __enter__(self) -> Self:
        for box in self._boxes:
            connection = socket.create_connection(("127.0.0.1", self._port), _PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = Client(box, connection)
            self.clients.append(client)
            self._selector.register(connection, selectors.EVENT_READ, client)
            connection.sendall(packets.connect(box.name, box.will))
            if connection.recv(len(packets.CONNECTED)) != packets.CONNECTED:
                raise SystemExit(f"the broker refused connection {len(self.clients)}: see its log")
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.socket.sendall(packets.DISCONNECT)
            client.socket.close()
        self._selector.close()

    def settle(self) -> None:
        """Wait until the broker has confirmed all that it has to."""
        end = time.monotonic() + _PATIENCE
        while sum(client.unconfirmed for client in self.clients):
            for key, _ in self._selector.select(0.1):
                key.data.read_confirmations()
            if time.monotonic() > end:
                raise SystemExit(f"the broker confirmed nothing for {_PATIENCE:g} s")


def measure(
    cameras: int,
    per_box: int,
    *,
    periods: int,
    folder: Path,
    every: float = EVERY,
    in_step: bool = False,
) -> Load:
    """Measure a broker with so many cameras.

    Args:
        cameras: number of cameras.
        per_box: cameras of a box.
        periods: how often each camera's reading is sent.
        folder: for the files of the programs.
        every: seconds between readings of a camera.
        in_step: whether all boxes send at the begin of each period of the clock, which they do not.
    """
    made = list(boxes(cameras, per_box, every=every, in_step=in_step))
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nuser root\n"
    )
    heard = folder / "heard.txt"
    command = [find("mosquitto", "mosquitto"), "-c", str(config)]
    listen = [
        find("mosquitto_sub", "mosquitto-clients"), "-p", str(port), "-q", "1",
        "-t", "#", "-F", "%U\t%t\t%p",
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        pid = stack.enter_context(running(command, folder / "mosquitto.log", port))
        stack.enter_context(running(listen, heard))
        fleet = stack.enter_context(Fleet(made, port))
        retained, announced = _announce(fleet, made)
        _wait_until_quiet(heard)
        start, plan = _plan(made, periods, every)
        _sleep_until(start)
        before = usage(pid)
        lags, sent_bytes = _send(fleet, plan)
        _sleep_until(start + periods * every)
        fleet.settle()
        seconds = time.time() - start
        _wait_until_quiet(heard)
        after = usage(pid)
    sent = [message for one in plan for message in one.messages]
    came, delays = _arrivals(heard, start)
    lost = _missing(sent, came)
    return Load(
        cameras, len(made), retained, announced,
        messages=len(sent) / seconds,
        bytes=sent_bytes / seconds,
        cpu=(after.cpu - before.cpu) / seconds,
        memory=after.memory,
        lag=quantile(lags, 0.99),
        lost=lost[False],
        lost_events=lost[True],
        readings=delays[False],
        events=delays[True],
    )  # fmt: skip


def _announce(fleet: Fleet, made: Sequence[Box]) -> tuple[int, float]:
    """Send what boxes send when they start; returns the messages and the seconds it took."""
    told = [box.announcement() for box in made]
    begin = time.monotonic()
    for client, messages in zip(fleet.clients, told, strict=True):
        client.send(messages)
    fleet.settle()
    return sum(map(len, told)), time.monotonic() - begin


def _plan(made: Sequence[Box], periods: int, every: float) -> tuple[float, list[Sending]]:
    """Return the begin of a period shortly after now, and what is to be sent from then on.

    It is made beforehand, so that sending takes next to nothing of the machine.
    """
    cameras = sum(len(box.cameras) for box in made)
    needed = 1 + cameras * (every * RATE + periods) * _PREPARING
    while True:
        start = math.ceil((time.time() + needed) / every) * every
        plan = list(_sendings(made, start, periods, every))
        if time.time() < start:
            return start, sorted(plan, key=lambda one: one.time)
        needed *= 2  # the machine is busy


def _sendings(made: Sequence[Box], start: float, periods: int, every: float) -> Iterator[Sending]:
    chance = random.Random(1)  # noqa: S311
    for number, box in enumerate(made):
        for seed, camera in enumerate(box.cameras):
            moment = start + _phase(box, camera, start, chance)
            for period in range(periods):
                messages = box.messages(reading(camera, moment + period * every, seed))
                yield Sending(moment + period * every, number, messages)
            yield from _alarms(box, number, camera, start, periods * every, chance)


def _phase(box: Box, camera: str, start: float, chance: random.Random) -> float:
    """Return at which second of a period the sink takes a reading of those of the pictures."""
    first = chance.uniform(0, 1 / RATE)
    moments = [first + number / RATE for number in range(round(box.every * RATE))]
    # The first one is taken whenever it comes; those of the period before it decide.
    earlier = [start - 2 * box.every + moments[-1], *(start - box.every + one for one in moments)]
    taken = [bool(box.messages(reading(camera, moment))) for moment in earlier]
    return moments[taken.index(True, 1) - 1]


def _alarms(
    box: Box, number: int, camera: str, start: float, seconds: float, chance: random.Random
) -> Iterator[Sending]:
    """Yield the alarms of a camera."""
    if chance.random() < 2 * _ALARMS * seconds:
        moment = start + chance.uniform(0, seconds)
        change = chance.choice(("raised", "cleared"))
        yield Sending(moment, number, box.messages(alarm(camera, moment, change)))


def _send(fleet: Fleet, plan: Sequence[Sending]) -> tuple[list[float], int]:
    """Send everything in time; returns by how much each was late, in seconds, and the bytes."""
    lags, sent = [], 0
    for one in plan:
        _sleep_until(one.time)
        lags.append(max(0.0, time.time() - one.time))
        sent += fleet.clients[one.box].send(one.messages)
    return lags, sent


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _wait_until_quiet(path: Path) -> None:
    """Wait until a file has not grown for a while."""
    end = time.monotonic() + _PATIENCE
    size, since = -1, time.monotonic()
    while time.monotonic() < end:
        now = path.stat().st_size
        if now != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > _QUIET:
            return
        time.sleep(0.05)


def _arrivals(
    path: Path, since: float
) -> tuple[Counter[tuple[str, bytes]], dict[bool, list[float]]]:
    """Return what came, and the delays of readings (False) and alarms (True) in seconds."""
    came: Counter[tuple[str, bytes]] = Counter()
    delays: dict[bool, list[float]] = defaultdict(list)
    for line in path.read_bytes().splitlines():
        moment, topic, payload = line.split(b"\t", 2)
        name = topic.decode()
        if float(moment) < since or not name.startswith("edgecount/site"):
            continue
        came[name, payload] += 1
        told = json.loads(payload) if payload.startswith(b"{") else {}
        if "time" in told:
            delays[_is_alarm(name)].append(float(moment) - _seconds(told["time"]))
    return came, delays


def _missing(sent: Sequence[Message], came: Counter[tuple[str, bytes]]) -> dict[bool, int]:
    """Return how many readings' (False) and alarms' (True) messages did not come."""
    missing = Counter((one.topic, one.payload) for one in sent) - came
    lost = {False: 0, True: 0}
    for (topic, _), number in missing.items():
        lost[_is_alarm(topic)] += number
    return lost


def _is_alarm(topic: str) -> bool:
    return topic.endswith("/events") or "/alarms/" in topic


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
