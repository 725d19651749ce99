"""Faults of a soak, in an order that a seed decides."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camera_servers import CameraServer
    from endurance.disk import SmallDisk
    from endurance.proxy import Proxy
    from endurance.receivers import Broker, Receiver
    from endurance.subject import Subject

RECOVERY = 60.0  # s that a camera may take to be back: its tries are up to 30 s apart
_PATIENCE = 90.0  # s that a sink may take: tries are up to a minute apart
_CALM = 5.0  # s between two faults
_CROWD = 15.0  # s that a crowd stays, and that the place is empty after it


@dataclass
class Fault:
    """A fault, or a crowd, which is to raise an alarm.

    Attributes:
        name: its kind.
        target: the camera, or what else it befell.
        begin: UNIX time in seconds.
        end: when it was over.
        recovered: when everything was well again; None: it was not in time.
        expected: changes of events of the camera that must come of it, as (kind, change).
        note: what was wrong.
    """

    name: str
    target: str
    begin: float
    end: float = 0.0
    recovered: float | None = None
    expected: tuple[tuple[str, str], ...] = ()
    note: str = ""


@dataclass
class Diary:
    """All faults, and when no new ones are to begin.

    Attributes:
        until: UNIX time in seconds.
        faults: in the order in which they began.
    """

    until: float
    faults: list[Fault] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)

    @contextmanager
    def fault(self, name: str, target: str, *expected: tuple[str, str]) -> Iterator[Fault]:
        """Note a fault that lasts for the block."""
        fault = Fault(name, target, time.time(), expected=expected)
        self.faults.append(fault)
        print(f"{time.strftime('%H:%M:%S')} {target}: {name}", flush=True)
        try:
            yield fault
        finally:
            fault.end = time.time()

    def wait(self, seconds: float) -> None:
        """Wait, unless the soak breaks off."""
        if self.stop.wait(seconds):
            raise InterruptedError

    def is_over(self) -> bool:
        """Return whether no new fault is to begin."""
        return time.time() >= self.until or self.stop.is_set()

    def run(self, deck: Callable[[], list[Callable[[], None]]]) -> threading.Thread:
        """Deal out decks of faults until the end, in a thread that is returned."""

        def work() -> None:
            try:
                while True:
                    for play in deck():
                        if self.is_over():
                            return
                        play()
            except InterruptedError:
                pass
            except BaseException as error:  # noqa: BLE001 (for the main thread to raise)
                self.failures.append(error)
                self.stop.set()

        thread = threading.Thread(target=work)
        thread.start()
        return thread


class CameraFaults:
    """Faults of one camera and of the network before it."""

    def __init__(
        self,
        name: str,
        server: CameraServer,
        proxy: Proxy,
        clips: dict[str, Path],
        subject: Subject,
        diary: Diary,
        seed: int,
    ) -> None:
        self._name, self._server, self._proxy, self._clips = name, server, proxy, clips
        self._subject, self._diary = subject, diary
        self._random = random.Random(f"{seed} {name}")  # noqa: S311 (no secret)

    def deck(self) -> list[Callable[[], None]]:
        """Return each fault once, and a crowd after each."""
        faults: list[Callable[[], None]] = [
            self.killed,
            self.halted,
            self.no_pictures,
            lambda: self.disturbed("garbage", 6),
            lambda: self.disturbed("lossy", 6),
            lambda: self.disturbed("slow", 8),
            lambda: self.disturbed("refuse", 4),
            self.other_size,
            lambda: self.odd_picture("frozen picture", same=True),
            lambda: self.odd_picture("dark picture", clip=str(self._clips["dark"])),
        ]
        self._random.shuffle(faults)
        return [play for fault in faults for play in (fault, self.crowd)]

    def crowd(self) -> None:
        """Have a crowd come and go."""
        with self._diary.fault(
            "crowd", self._name, ("alarm", "raised"), ("alarm", "cleared")
        ) as fault:
            self._server.order(clip=str(self._clips["crowd"]))
            self._diary.wait(_CROWD)
            self._server.order(clip=str(self._clips["empty"]))
        fault.recovered = fault.end
        self._diary.wait(_CROWD)

    def killed(self) -> None:
        """Kill the camera and start it again."""
        with self._diary.fault(
            "killed", self._name, ("camera", "lost"), ("camera", "back")
        ) as fault:
            self._server.kill()
            self._diary.wait(self._random.uniform(5, 12))
            self._server.restart()
        self._recover(fault)

    def halted(self) -> None:
        """Halt the camera: its connection stays, and nothing comes."""
        with self._diary.fault(
            "halted", self._name, ("camera", "lost"), ("camera", "back")
        ) as fault:
            self._server.stop()
            try:
                self._diary.wait(12)
            finally:
                self._server.go_on()
        self._recover(fault)

    def no_pictures(self) -> None:
        """Have the camera send no pictures."""
        self._changed("no pictures", {"frozen": True}, {"frozen": False}, 12)

    def disturbed(self, mood: str, seconds: float) -> None:
        """Disturb the network to the camera."""
        with self._diary.fault(mood, self._name) as fault:
            self._proxy.mood = mood
            try:
                self._diary.wait(seconds)
            finally:
                self._proxy.mood = "pass"
        self._recover(fault)

    def other_size(self) -> None:
        """Change the size of its pictures, and back."""
        self._changed("other size", {"size": [480, 360]}, {"size": [640, 480]}, 8)

    def odd_picture(self, name: str, **changes: Any) -> None:
        """Show a picture that is not to be counted, long enough to be noticed."""
        back = {"same": False, "clip": str(self._clips["empty"])}
        self._changed(name, changes, back, 30)

    def _changed(
        self, name: str, changes: dict[str, Any], back: dict[str, Any], seconds: float
    ) -> None:
        with self._diary.fault(name, self._name) as fault:
            self._server.order(**changes)
            self._diary.wait(seconds)
            self._server.order(**back)
        self._recover(fault)

    def _recover(self, fault: Fault) -> None:
        """Wait until pictures are counted again."""
        key = "camera_frames_counted", self._name
        before: dict[int, float] = {}  # by the process: a new one counts from 0
        end = time.time() + RECOVERY
        while time.time() < end:
            look = self._subject.newest()
            is_well = look.samples.get(("camera_picture_trusted", self._name)) == 1
            counted = look.samples.get(key, 0.0)
            if is_well and counted > before.setdefault(look.life, counted) + 2:
                fault.recovered = time.time()
                break
            self._diary.wait(0.3)
        self._diary.wait(_CALM)


class OtherFaults:
    """Faults of the broker, the receiver, the disk and the config."""

    def __init__(
        self,
        broker: Broker,
        receiver: Receiver,
        disk: SmallDisk,
        subject: Subject,
        diary: Diary,
        seed: int,
        kill_at: float | None,
    ) -> None:
        self._broker, self._receiver, self._disk = broker, receiver, disk
        self._kill_at = kill_at
        self._subject, self._diary = subject, diary
        self._random = random.Random(seed)  # noqa: S311 (no secret)

    def deck(self) -> list[Callable[[], None]]:
        """Return each fault once; the service is killed as soon as it is time for that."""
        faults: list[Callable[[], None]] = [
            self.broker_killed,
            lambda: self.proxied("broker hangs", "broker", self._broker.proxy, "hold", 25),
            lambda: self.proxied("receiver down", "receiver", self._receiver.proxy, "refuse", 20),
            lambda: self.received("error", 20),
            lambda: self.received("slow", 20),
            lambda: self.received("hang", 25),
            self.disk_full,
            self.reloaded,
            self.reloaded_in_vain,
        ]
        self._random.shuffle(faults)
        return [play for fault in faults for play in (self._kill_if_due, fault)]

    def broker_killed(self) -> None:
        """Kill the broker and start it again."""
        with self._diary.fault("killed", "broker") as fault:
            self._broker.kill()
            self._diary.wait(15)
            self._broker.restart()
        self._recover(fault, "mqtt")

    def proxied(self, name: str, target: str, proxy: Proxy, mood: str, seconds: float) -> None:
        """Disturb the way to a receiver."""
        with self._diary.fault(name, target) as fault:
            proxy.mood = mood
            self._diary.wait(seconds)
            proxy.mood = "pass"
        self._recover(fault, "mqtt" if target == "broker" else "webhook")

    def received(self, mood: str, seconds: float) -> None:
        """Have the receiver fail."""
        with self._diary.fault(mood, "receiver") as fault:
            self._receiver.mood = mood
            self._diary.wait(seconds)
            self._receiver.mood = "good"
        self._recover(fault, "webhook")

    def disk_full(self) -> None:
        """Fill the disk, and make room again."""
        if not self._disk.can_fill:
            return
        with self._diary.fault("full", "disk") as fault:
            self._disk.fill()
            self._diary.wait(25)
            self._disk.free()
        self._recover(fault, "jsonl")

    def reloaded(self) -> None:
        """Add a region, and take it away; the other cameras go on without being opened again."""
        with self._diary.fault("reloaded", "config") as fault:
            for extra in (True, False):
                self._subject.write_config(extra=extra)
                self._subject.reload()
                key = "region_people", "c0", "extra"
                if not self._until(lambda: (key in self._subject.samples) == extra):  # noqa: B023
                    fault.note = f"region {'not there' if extra else 'still there'} after reload"
        fault.recovered = time.time()

    def reloaded_in_vain(self) -> None:
        """Give it a config that makes no sense, then the right one."""
        with self._diary.fault("reloaded in vain", "config") as fault:
            self._subject.write_config(broken=True)
            self._subject.reload()
            self._diary.wait(5)
            self._subject.write_config()
            self._subject.reload()
            self._diary.wait(3)
        fault.recovered = time.time()

    def _kill_if_due(self) -> None:
        """Kill the service once, while the receiver is down, so that events wait in its spool."""
        if self._kill_at is None or time.time() < self._kill_at:
            return
        self._kill_at = None
        with self._diary.fault("killed", "service") as fault:
            self._receiver.proxy.mood = "refuse"
            self._diary.wait(20)
            # With an alarm that is raised, which is not to be raised again afterwards.
            self._until(lambda: self._subject.raised() > 0)
            self._subject.kill()
            self._diary.wait(5)
            self._receiver.proxy.mood = "pass"
        self._recover(fault, "webhook")

    def _recover(self, fault: Fault, sink: str) -> None:
        """Wait until a sink is open and has nothing that waits."""

        def is_well() -> bool:
            up, waits = self._subject.value("sink_up", sink), ("sink_waiting", sink)
            return up == 1 and self._subject.samples.get(waits, 1) <= 1

        if self._until(is_well):
            fault.recovered = time.time()
        self._diary.wait(_CALM)

    def _until(self, condition: Callable[[], bool]) -> bool:
        end = time.time() + _PATIENCE
        self._diary.wait(2)  # metrics of before
        while not condition():
            if time.time() > end:
                return False
            self._diary.wait(0.5)
        return True
