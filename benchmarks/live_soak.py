"""Check that live cameras leave nothing behind: memory, threads, descriptors, over many frames.

    python benchmarks/live_soak.py [--part rtsp|fake|reconnects] [--frames 10000]
        [--reconnects 300] [--limit 4]

Counts a real RTSP camera and a fake one, every picture and at once, with an engine that takes no
time; then a real one that hangs up after every third picture, and a fake one that drops and hangs
by turns. Prints what the process holds as it goes, and exits with 1 if the second half of a part
added more than --limit MiB, or more threads or descriptors than one connection has. The servers are
those of the tests; see tests/cameras/rtsp_server.py.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "cameras"))

from camera_servers import CameraServer
from edgecount import CountResult, EdgeCounter, LiveOptions, LiveSource
from edgecount._memory import free_unused, resident_bytes
from edgecount.fake import Drop, FakeCamera, Hang, HeadBackend, Show
from edgecount.models import DEFAULT_MODEL

LOOKS = 10  # at what the process holds, in each part
_CONNECTION = 3  # threads or descriptors of one that is being opened or closed at a look
SIZE = (320, 240)
EVERY = LiveOptions(newest=False, first_timeout=30)
HASTY = LiveOptions(first_timeout=30, backoff=(0.01, 0.02))


def holdings() -> tuple[float, int, int]:
    """Return the resident MiB, the threads of the process and its open descriptors."""
    free_unused()
    threads = len(list(Path("/proc/self/task").iterdir()))
    # One of them is that of the folder which is listed.
    return (resident_bytes() or 0) / 2**20, threads, len(list(Path("/proc/self/fd").iterdir())) - 1


class Ledger:
    """Memory, threads and descriptors of the process, from look to look.

    Args:
        name: of the part.
        total: of what is counted on the way.
        limit: most MiB that the second half may add.
    """

    def __init__(self, name: str, total: int, limit: float) -> None:
        self.is_fine = True
        self._name = name
        self._total = total
        self._limit = limit
        self._next = 0
        self._held: list[tuple[float, int, int]] = []
        self._begin = time.monotonic()

    def look(self, done: int) -> None:
        """Note what the process holds, if it is time for that."""
        if done < self._next:
            return
        self._next += self._total // LOOKS
        held = holdings()
        seconds = time.monotonic() - self._begin
        print(
            f"{self._name:18s} {done:6d}  {seconds:6.1f} s  {held[0]:7.1f} MiB  "
            f"{held[1]:3d} threads  {held[2]:3d} descriptors",
            flush=True,
        )
        self._held.append(held)
        if done >= self._total:
            self._judge()

    def _judge(self) -> None:
        """Compare the halves: threads and descriptors come and go, but no more of them."""
        middle = len(self._held) // 2
        first, second = (
            zip(*self._held[:middle], strict=True),
            zip(*self._held[middle:], strict=True),
        )
        grown = [max(after) - max(before) for before, after in zip(first, second, strict=True)]
        self.is_fine = grown[0] <= self._limit and max(grown[1:]) <= _CONNECTION
        print(
            f"{self._name:18s} most in the second half: {grown[0]:+.1f} MiB, "
            f"{grown[1]:+d} threads, {grown[2]:+d} descriptors"
        )


def count_frames(name: str, source: LiveSource, frames: int, limit: float) -> bool:
    """Count a camera's frames; returns whether nothing was left behind."""
    ledger = Ledger(name, frames, limit)
    with EdgeCounter(DEFAULT_MODEL, backend=HeadBackend()) as counter:
        for done, _ in enumerate(counter.stream(source)):
            ledger.look(done)
            if done >= frames:
                break
    health = source.health()
    assert health.frames_in == health.counted + health.dropped
    return ledger.is_fine


def count_reconnects(name: str, source: LiveSource, reconnects: int, limit: float) -> bool:
    """Count a camera that goes again and again; returns whether nothing was left behind."""
    ledger = Ledger(name, reconnects, limit)
    with EdgeCounter(DEFAULT_MODEL, backend=HeadBackend()) as counter:
        results: Iterator[CountResult] = counter.stream(source)
        for _ in results:
            done = source.health().reconnects
            ledger.look(done)
            if done >= reconnects:
                break
    return ledger.is_fine


def part_rtsp(given: argparse.Namespace) -> bool:
    """Count a real camera at the rate that this machine can do."""
    with CameraServer("rtsp", {"/cam": {"fps": 500, "size": list(SIZE)}}) as server:
        source = LiveSource(server.url(), EVERY)
        return count_frames("rtsp", source, given.frames, given.limit)


def part_fake(given: argparse.Namespace) -> bool:
    """Count a fake camera at the rate that this machine can do."""
    source = FakeCamera([Show(10, people=20)], size=SIZE, fps=1000, loop=True, options=EVERY)
    return count_frames("fake", source, given.frames, given.limit)


def part_reconnects(given: argparse.Namespace) -> bool:
    """Lose and find cameras."""
    fine = True
    for kind in ("rtsp", "http"):
        with CameraServer(kind, {"/cam": {"fps": 50, "size": list(SIZE), "cut": 3}}) as server:
            source = LiveSource(server.url(), HASTY)
            fine &= count_reconnects(f"{kind} cut", source, given.reconnects, given.limit)
    script = [Show(0.1, people=3), Drop(0.05), Show(0.1), Hang(0.05)]
    fake = FakeCamera(script, size=SIZE, fps=50, loop=True, options=HASTY)
    return fine & count_reconnects("fake drop, hang", fake, given.reconnects, given.limit)


PARTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "rtsp": part_rtsp,
    "fake": part_fake,
    "reconnects": part_reconnects,
}


def main() -> int:
    """Run the parts, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--part", choices=tuple(PARTS))
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--reconnects", type=int, default=300)
    parser.add_argument("--limit", type=float, default=4.0, help="MiB")
    given = parser.parse_args()
    logging.getLogger("edgecount").setLevel(logging.ERROR)  # what happens is meant to
    threads = threading.active_count()
    parts = [PARTS[given.part]] if given.part else list(PARTS.values())
    fine = [part(given) for part in parts]
    time.sleep(1)  # for threads that are about to end
    left = threading.active_count() - threads
    print(f"threads left: {left}")
    return int(not all(fine) or left > 0)


if __name__ == "__main__":
    sys.exit(main())
