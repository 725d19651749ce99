"""`edgecount label`, started as a user does: what it prints, how it ends, what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edgecount.cli import cli
from edgecount.label.store import LabelStore

pytest.importorskip("starlette", reason='needs pip install "edgecount[label]"')
pytest.importorskip("uvicorn", reason='needs pip install "edgecount[label]"')

Start = Callable[..., "Running"]


class Running:
    """The command in a process of its own, and a browser's requests to its page."""

    def __init__(self, folder: Path, *more: str) -> None:
        command = [sys.executable, "-m", "edgecount", "label", str(folder), "--port", "0", *more]
        without_desktop = {k: v for k, v in os.environ.items() if "DISPLAY" not in k}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=without_desktop
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert "/login?token=" in self.address, self.process.communicate()
        self._open = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar())
        ).open
        with self._open(self.address, timeout=30) as answer:
            assert b"edgecount label" in answer.read()

    def ask(self, path: str, body: object = None) -> dict[str, object]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            re.sub(r"/login.*", path, self.address),
            data,
            {"Content-Type": "application/json"},
            method="PUT" if data else "GET",
        )
        with self._open(request, timeout=30) as answer:
            found: dict[str, object] = json.loads(answer.read())
            return found

    def save(self, name: str, state: str, *points: list[float]) -> None:
        revision = self.ask(f"/api/picture?name={name}")["revision"]
        body = {"state": state, "points": list(points), "revision": revision}
        self.ask(f"/api/picture?name={name}", body)

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((40, 60, 3), np.uint8))
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    started: list[Running] = []

    def run(*more: str) -> Running:
        started.append(Running(folder, *more))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def test_ctrl_c_ends_it_with_what_is_done_and_what_to_do_next(start, folder):
    running = start("--no-proposal")
    running.save("a.png", "done", [10, 20], [30, 5])
    running.save("b.png", "open", [1, 1])
    code, out, err = running.end(signal.SIGINT)
    assert (code, err) == (0, "")
    table = folder / "labels.csv"
    assert f"{table}: 1 picture with 2 heads, 0 without people, and 1 begun" in out
    assert f"edgecount adapt edgecount-s {table}" in out


def test_a_kill_loses_nothing_and_the_same_command_goes_on(start, folder):
    running = start("--no-proposal")
    running.save("a.png", "done", [10, 20])
    running.save("b.png", "open", [1, 1])
    running.end(signal.SIGKILL)
    running = start("--no-proposal")
    assert running.ask("/api/picture?name=a.png")["points"] == [[10, 20]]
    assert running.ask("/api/picture?name=b.png")["state"] == "open"
    running.save("b.png", "empty")
    code, out, _ = running.end(signal.SIGTERM)
    assert code in {0, 143}
    assert "1 picture with 1 head, 1 without people\n" in out


def invoke(*args: str) -> str:
    """Return the one line with which the command fails."""
    result = CliRunner().invoke(cli, ["label", *args])
    assert result.exit_code in {1, 2}
    lines = result.output.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_what_it_refuses(folder, tmp_path, monkeypatch):
    assert "nowhere does not exist" in invoke(str(tmp_path / "nowhere"))
    assert "a.png is no folder" in invoke(str(folder / "a.png"))
    inner = folder / "inner"
    inner.mkdir()
    assert "inner holds no picture" in invoke(str(inner))
    cv2.imwrite(str(inner / "c.png"), np.zeros((4, 4, 3), np.uint8))
    (folder / "a.png").unlink()
    (folder / "b.png").unlink()
    assert f"there are some in {inner}" in invoke(str(folder))
    with LabelStore(inner / "labels.csv"):
        assert "another edgecount label writes" in invoke(str(inner), "--no-proposal")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = invoke(str(inner), "--no-proposal", "--port", port)
        assert f"--port: 127.0.0.1:{port} cannot be listened at: Address already in use" in line
    assert "no such model" in invoke(str(inner), "--model", "none.onnx").lower()
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert 'pip install "edgecount[label]"' in invoke(str(inner), "--no-proposal")


def test_a_model_without_heads_is_refused_with_its_own_option(folder, make_model):
    line = invoke(str(folder), "--model", str(make_model(roles=("density",))), "--port", "0")
    assert "--model: expected a model with a heatmap or boxes" in line
    assert "add --no-proposal" in line
    assert "threshold" not in line


def test_the_browser_gets_an_address_that_lets_in_once(folder, monkeypatch):
    import webbrowser

    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) is None)
    monkeypatch.setattr("edgecount.cli.label._wait", lambda is_over: None)
    result = CliRunner().invoke(
        cli, ["label", str(folder), "--no-proposal", "--port", "0", "--open"]
    )
    assert result.exit_code == 0, result.output
    assert "no picture is done" in result.output
    assert "/login?once=" in opened[0]
    assert opened[0].partition("once=")[2] not in result.output


@pytest.mark.parametrize(
    "option", ["--model none.onnx", "--backend openvino", "--precision float32", "--threads 1"]
)
def test_options_of_a_model_have_no_use_without_proposals(folder, option):
    result = CliRunner().invoke(cli, ["label", str(folder), "--no-proposal", *option.split()])
    assert result.exit_code == 2
    flag = option.split()[0]
    expected = f"--no-proposal opens no model, and has no use for {flag}"
    assert result.output.splitlines()[-1].endswith(expected)
