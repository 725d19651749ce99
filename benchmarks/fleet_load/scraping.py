"""The load of Prometheus: the real metrics of many boxes, scraped by a real Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecount.watch.sinks.base import SinkHealth
from edgecount.watch.sinks.metrics import CONTENT_TYPE, Metrics
from fleet_load.boxes import Box, alarm, boxes, reading
from fleet_load.programs import find, free_port, running, usage

_SINKS = [SinkHealth(name, True, 1000, 0, 0, None) for name in ("mqtt", "history", "prometheus")]
_DASHBOARD = Path(__file__).resolve().parents[2] / "deploy/compose/grafana/edgecount.json"
_SCRAPE = "  - {job_name: edgecount, file_sd_configs: [{files: [targets.json]}]}"
_SELF = "  - {job_name: prometheus, static_configs: [{targets: ['127.0.0.1:PORT']}]}"


@dataclass(frozen=True)
class Exposition:
    """The metrics of a box, as Prometheus reads them.

    Attributes:
        text: all of it.
        series: number of time series.
        of_camera: those of a camera among them.
        seconds: time to render it.
    """

    text: str
    series: int
    of_camera: int
    seconds: float


@dataclass(frozen=True)
class Scraping:
    """The cost of scraping a number of cameras.

    Attributes:
        cameras: number of cameras.
        targets: boxes that were scraped.
        series: the boxes' time series in memory.
        samples: values taken per second.
        cpu: share of a core that Prometheus took.
        idle: bytes of memory that it had before it scraped any box.
        memory: bytes that it had at the end.
        queries: by panel of the dashboard the seconds that its slowest query took.
    """

    cameras: int
    targets: int
    series: int
    samples: float
    cpu: float
    idle: int
    memory: int
    queries: Mapping[str, float]


class Exporter:
    """The metrics of a box, whose cameras have always just been counted."""

    def __init__(self, box: Box) -> None:
        self._metrics = Metrics(box.cameras, sinks=lambda: _SINKS)
        self._cameras = list(box.cameras)
        for camera in self._cameras:
            self._metrics.event(alarm(camera, time.time(), "raised"))

    def render(self) -> bytes:
        """Return what the box answers now."""
        now = time.time()
        for seed, camera in enumerate(self._cameras):
            self._metrics.reading(reading(camera, now, seed))
        return self._metrics.render()


def exposition(per_box: int) -> Exposition:
    """Return what a box with so many cameras tells."""
    exporter = Exporter(next(boxes(per_box, per_box)))
    exporter.render()
    begin = time.perf_counter()
    text = exporter.render().decode()
    seconds = time.perf_counter() - begin
    series = re.findall(r"^[a-z]\S*(?: \S+)*$", text, re.MULTILINE)
    of_camera = [one for one in series if 'camera="camera-0"' in one]
    return Exposition(text, len(series), len(of_camera), seconds)


def scrape(cameras: int, per_box: int, *, interval: float, scrapes: int, folder: Path) -> Scraping:
    """Scrape simulated boxes by a real Prometheus.

    Args:
        cameras: number of cameras.
        per_box: cameras of a box.
        interval: seconds between the scrapes of a box.
        scrapes: how often each is scraped.
        folder: for the files of Prometheus.
    """
    made = list(boxes(cameras, per_box))
    port = free_port()
    targets = folder / "targets.json"
    targets.write_text("[]")
    config = folder / "prometheus.yaml"
    scraping = f"global: {{scrape_interval: {_duration(interval)}}}\nscrape_configs:\n"
    config.write_text(f"{scraping}{_SCRAPE}\n{_SELF.replace('PORT', str(port))}\n")
    command = [
        find("prometheus", "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _serving(made) as serving, running(command, folder / "prometheus.log", port) as pid:
        time.sleep(min(2.0, interval))
        idle = usage(pid).memory
        # Taken up within seconds, as a list that Ansible writes.
        targets.write_text(json.dumps(_targets(made, serving)))
        _wait_until_up(port, len(made))
        begin, before = time.monotonic(), usage(pid)
        time.sleep(interval * scrapes)
        seconds, after = time.monotonic() - begin, usage(pid)
        series = int(_value(port, 'count({job="edgecount"})'))
        samples = _value(port, 'sum(scrape_samples_scraped{job="edgecount"})') / interval
        queries = _ask_dashboard(port)
    cpu = (after.cpu - before.cpu) / seconds
    return Scraping(cameras, len(made), series, samples, cpu, idle, after.memory, queries)


def _targets(made: Sequence[Box], port: int) -> list[dict[str, Any]]:
    """Return the list of boxes as Prometheus reads it from a file."""
    return [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"site": box.site, "instance": box.name, "__metrics_path__": f"/{box.name}"},
        }
        for box in made
    ]


@contextlib.contextmanager
def _serving(made: Sequence[Box]) -> Iterator[int]:
    """Serve the metrics of boxes from a thread; gives the port."""
    exporters = {f"/{box.name}": Exporter(box) for box in made}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                body = exporters[request.split()[1].decode()].render()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    """Close a server and its connections."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _duration(seconds: float) -> str:
    return f"{round(1000 * seconds)}ms"


def _wait_until_up(port: int, targets: int, patience: float = 180.0) -> None:
    end = time.monotonic() + patience
    while _value(port, 'sum(up{job="edgecount"})') < targets:
        if time.monotonic() > end:
            raise SystemExit(f"Prometheus does not scrape {targets} boxes: see its log")
        time.sleep(0.5)


def _ask_dashboard(port: int) -> dict[str, float]:
    """Ask what each panel of the dashboard asks, of all sites; returns the seconds it takes."""
    slowest = {}
    for panel in json.loads(_DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            begin = time.perf_counter()
            _ask(port, re.sub(r"\$\w+", ".*", target["expr"]))
            taken = time.perf_counter() - begin
            slowest[panel["title"]] = max(taken, slowest.get(panel["title"], 0.0))
    return slowest


def _value(port: int, query: str) -> float:
    """Return the one value of a query; 0 if there is none."""
    found = _ask(port, query)
    return float(found[0]["value"][1]) if found else 0.0


def _ask(port: int, query: str) -> list[dict[str, Any]]:
    parameters = urllib.parse.urlencode({"query": query})
    address = f"http://127.0.0.1:{port}/api/v1/query?{parameters}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found
