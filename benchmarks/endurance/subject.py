"""The service under test: a process of its own, looked at from outside."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from endurance.receivers import TOPIC

_SAMPLE = re.compile(r"^edgecount_(\w+?)(?:_total)?(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_START = 60.0  # s
_END = 40.0

Samples = dict[tuple[str, ...], float]

_CAMERA = """\
  {name}:
    source: rtsp://127.0.0.1:{port}/cam
    title: {title}
    rate: 5
    stall_timeout: 3
    smooth: {{median: 1, mean: 1}}
    regions:
      left: {{polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}}
{more}    lines:
      middle: {{start: [0.5, 1], end: [0.5, 0]}}
    alarms:
      crowd: {{above: {above}, below: 8, enter: 2, leave: 2, cooldown: 0, stale: 10}}
"""
_REST = """\
model: edgecount-n
threads: 1
max_side: 320
serve:
  address: 127.0.0.1:{page}
history:
  path: {disk}/history.sqlite
sinks:
  jsonl: {{path: {disk}/counts.jsonl, every: 0.5, size_mb: 0.5, keep: 1000}}
  csv: {{path: {disk}/counts.csv, every: 5, size_mb: 0.1, keep: 1000}}
  clips: {{folder: {disk}/clips, before: 2, after: 3, size_mb: 10}}
  mqtt: {{host: 127.0.0.1, port: {broker}, tls: false, topic: {topic}, every: 1}}
  webhook: {{url: "http://127.0.0.1:{receiver}/hook", spool: {disk}/spool.sqlite}}
  prometheus: {{}}
cameras:
"""
ABOVE = 12


@dataclass
class Look:
    """Memory, threads, descriptors and metrics of the process at a moment.

    Attributes:
        time: UNIX time in seconds.
        life: number of the process.
        mib: resident memory.
        threads: its threads.
        descriptors: its open files and sockets.
        samples: its metrics by name and labels; empty while it does not answer.
    """

    time: float
    life: int
    mib: float
    threads: int
    descriptors: int
    samples: Samples = field(repr=False)


class Subject:
    """A service that is started, reloaded, killed, and looked at every second.

    Args:
        folder: for its config and its log.
        disk: for what it writes.
        cameras: ports of the cameras by name.
        ports: those of "broker", "receiver" and "page".
    """

    def __init__(
        self, folder: Path, disk: Path, cameras: dict[str, int], ports: dict[str, int]
    ) -> None:
        self.config, self.log = folder / "cameras.yaml", folder / "service.log"
        self.looks: list[Look] = []
        self.life = 0
        self.kills: list[float] = []
        self._disk, self._cameras, self._ports = disk, cameras, ports
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="looks")

    def write_config(self, *, extra: bool = False, broken: bool = False) -> None:
        """Write the config, with one region more if asked for, or one that makes no sense."""
        text = _REST.format(disk=self._disk, topic=TOPIC, **self._ports)
        for place, (name, port) in enumerate(self._cameras.items()):
            region = "      extra: {polygon: [[0.5, 0], [1, 0], [1, 1]]}\n"
            more = region if extra and place == 0 else ""
            above = "many" if broken else ABOVE
            text += _CAMERA.format(name=name, port=port, title=name, more=more, above=above)
        self.config.write_text(text)

    def start(self) -> None:
        """Start the service, and wait until it answers."""
        self._start()
        if not self._watcher.is_alive():
            self._watcher.start()

    def reload(self) -> None:
        """Have it read its config again."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """Kill it as a lack of memory or a power cut would, and start it again."""
        with self._lock:
            self._process.kill()
            self.kills.append(time.time())
            self._process.wait()
            self._start()

    def stop(self) -> tuple[int | None, float]:
        """End it as systemd would; returns its exit code, and the seconds that it took."""
        self._stopped.set()
        self._watcher.join()
        begin = time.monotonic()
        self._process.terminate()
        try:
            code: int | None = self._process.wait(_END)
        except subprocess.TimeoutExpired:
            code = None
        self.abandon()
        return code, time.monotonic() - begin

    def abandon(self) -> None:
        """End the process and the looks, whatever has happened."""
        self._stopped.set()
        self._process.kill()
        self._process.wait()

    def newest(self) -> Look:
        """Return the newest look at which it answered."""
        while not (found := [look for look in self.looks[-30:] if look.samples]):
            time.sleep(0.1)
        return found[-1]

    @property
    def samples(self) -> Samples:
        """The newest metrics."""
        return self.newest().samples

    def value(self, *key: str) -> float:
        """Return a metric of now, 0 if there is none."""
        return self.samples.get(key, 0.0)

    def raised(self) -> int:
        """Return how many alarms are raised."""
        return sum(key[0] == "alarm_raised" and value for key, value in self.samples.items())

    def totals(self) -> dict[tuple[str, ...], float]:
        """Return counters over all lives."""
        last: dict[int, Samples] = {}
        for look in self.looks:
            if look.samples:
                last[look.life] = look.samples
        totals: dict[tuple[str, ...], float] = defaultdict(float)
        for samples in last.values():
            for key, value in samples.items():
                totals[key] += value
        return totals

    def _start(self) -> None:
        self.life += 1
        command = [sys.executable, "-m", "edgecount", "watch", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + _START
        while not self._ask():
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the service does not start: see {self.log}")
            time.sleep(0.2)

    def _watch(self) -> None:
        while not self._stopped.wait(1.0):
            with self._lock:
                if self._process.poll() is not None:
                    return  # it has ended by itself: its exit code tells
                self.looks.append(self._look())

    def _look(self) -> Look:
        own = Path(f"/proc/{self._process.pid}")
        kib = re.search(r"^Rss:\s+(\d+)", (own / "smaps_rollup").read_text(), re.MULTILINE)
        threads, descriptors = (len(list((own / name).iterdir())) for name in ("task", "fd"))
        mib = int(kib[1]) / 1024 if kib else 0.0
        return Look(time.time(), self.life, mib, threads, descriptors, self._ask())

    def _ask(self) -> Samples:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._ports['page']}/metrics", timeout=5
            ) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        found = (_SAMPLE.match(line) for line in lines)
        return {
            (one[1], *(value for _, value in _LABEL.findall(one[2] or ""))): float(one[3])
            for one in found
            if one
        }


def lines_of(folder: Path, stem: str, suffix: str) -> list[str]:
    """Return the lines of a file and of those that were put aside, the oldest first."""
    pattern = re.compile(rf"{stem}(?:\.(\d+))?{re.escape(suffix)}")
    found = [(path, pattern.fullmatch(path.name)) for path in folder.iterdir()]
    aside = sorted((-int(match[1] or 0), path) for path, match in found if match)
    return [line for _, path in aside for line in path.read_text().splitlines()]


def documents(folder: Path) -> list[dict[str, object]]:
    """Return the documents of the JSON lines."""
    return [json.loads(line) for line in lines_of(folder, "counts", ".jsonl")]
