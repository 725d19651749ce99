"""The command as a service: signals, systemd, its page, and what it writes."""

from __future__ import annotations

import http.client
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from camera_servers import CameraServer

pytest.importorskip("ruamel.yaml", reason='needs pip install "edgecount[watch]"')

Start = Callable[..., Any]
EDITOR = "some-letters-and-more"
REGION = "regions: {half: {polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}}"


def test_it_counts_reloads_and_ends(
    start: Start, write_config: Callable[..., Path], systemd: Any, until: Callable[..., None]
) -> None:
    write_config()
    watch = start(
        "--config", "cameras.yaml", "--log-format", "json",
        NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="60000000",
    )  # fmt: skip
    seen = systemd.wait_for("READY")
    systemd.wait_for("WATCHDOG", after=seen)
    until(watch.rows)
    assert watch.rows()[0]["regions"] == {}
    # A wrong config changes nothing; the line says where it is wrong.
    write_config("rate: 10", "rate: fast")
    watch.send(signal.SIGHUP)
    seen = systemd.wait_for("RELOADING", after=seen)
    seen = systemd.wait_for("READY", after=seen)
    watch.until_log(
        "not reloaded, the previous config stays in use: cameras.yaml:6: cameras.door.rate"
    )
    before = len(watch.rows())
    until(lambda: len(watch.rows()) > before)
    # A good one changes what is counted, and the camera stays open.
    write_config("rate: 10", f"rate: 4\n    {REGION}")
    watch.send(signal.SIGHUP)
    systemd.wait_for("READY", after=systemd.wait_for("RELOADING", after=seen))
    until(lambda: list(watch.rows()[-1]["regions"]) == ["half"])
    assert watch.rows()[-1]["reconnects"] == 0
    assert watch.end() == 0
    systemd.wait_for("STOPPING")
    assert [line["message"] for line in watch.log()][-2:] == ["stopping: SIGTERM came", "stopped"]
    text = (watch.folder / "counts.jsonl").read_text()
    assert text.endswith("}\n")


def test_what_systemd_is_told(
    start: Start, write_config: Callable[..., Path], systemd: Any
) -> None:
    watch = start("--config", write_config(), NOTIFY_SOCKET=systemd.address)
    systemd.wait_for("READY")
    seen = 0
    while systemd.states[seen - 1].get("STATUS") != "1 of 1 cameras give pictures":
        seen = systemd.wait_for("STATUS", after=seen)
    assert watch.end() == 0
    assert "WATCHDOG" not in {key for state in systemd.states for key in state}


def test_ctrl_c(start: Start, write_config: Callable[..., Path], systemd: Any) -> None:
    watch = start("--config", write_config(), NOTIFY_SOCKET=systemd.address)
    systemd.wait_for("READY")
    assert watch.end(signal.SIGINT) == 130


def test_without_a_config(
    start: Start, camera: CameraServer, tiny_model: Path, systemd: Any
) -> None:
    source = camera.url().replace("://", "://viewer:hunter2@")
    watch = start(
        source, "--model", tiny_model, "--region", "half:0%,0%;50%,0%;50%,100%",
        "--print-every", "0.5", "--log-format", "json", NOTIFY_SOCKET=systemd.address,
    )  # fmt: skip
    lines = [watch.readline()]
    while "half" not in lines[-1]:
        lines.append(watch.readline())
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  127-0-0-1: \d+\.\d people.*, half \d+\.\d, "
        r"\d+\.\d pictures/s\n",
        lines[-1],
    )
    systemd.wait_for("READY")
    # Without a config a terminal that is closed ends it.
    assert watch.end(signal.SIGHUP) == 128 + signal.SIGHUP
    log = watch.log()
    assert {"time", "level", "logger", "message"} <= set(log[0])
    assert any(line.get("camera") == "127-0-0-1" for line in log)
    assert "hunter2" not in json.dumps(log) + "".join(lines)


def test_an_address_that_is_taken(start: Start, camera: CameraServer, tiny_model: Path) -> None:
    pytest.importorskip("uvicorn")
    watch = start(
        camera.url(), "--model", tiny_model, "--serve", f"127.0.0.1:{camera.port}",
        "--log-format", "json",
    )  # fmt: skip
    assert watch.wait() == 2
    assert f"--serve: 127.0.0.1:{camera.port} cannot be listened at" in watch.errors()[-1]


def test_the_page_follows_the_config(
    start: Start, write_config: Callable[..., Path], systemd: Any, tmp_path: Path
) -> None:
    pytest.importorskip("uvicorn")
    token = tmp_path / "page.token"
    token.write_text(EDITOR)
    token.chmod(0o600)
    served = "serve: {address: 127.0.0.1:0}\nsinks:\n  prometheus: {}"
    path = write_config("sinks:", served)
    watch = start("--config", path, "--log-format", "json", NOTIFY_SOCKET=systemd.address)
    seen = systemd.wait_for("READY")
    assert _ask(watch, "/api/state")[0] == 200
    status, text = _ask(watch, "/metrics")
    assert status == 200
    assert "edgecount_build_info" in text
    # A token is asked for from the reload on.
    write_config("sinks:", served.replace("0}", "0, token_file: page.token}"))
    watch.send(signal.SIGHUP)
    systemd.wait_for("READY", after=systemd.wait_for("RELOADING", after=seen))
    assert _ask(watch, "/api/state")[0] == 401
    assert _ask(watch, "/api/state", token=EDITOR)[0] == 200
    assert watch.end() == 0
    assert EDITOR not in json.dumps(watch.log())


def _ask(watch: Any, path: str, token: str = "") -> tuple[int, str]:
    """Ask the page that the log named last."""
    urls = re.findall(r"the page is at http://127\.0\.0\.1:(\d+)/", json.dumps(watch.log()))
    connection = http.client.HTTPConnection("127.0.0.1", int(urls[-1]), timeout=60)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
