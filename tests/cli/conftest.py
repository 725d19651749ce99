"""Runs the command line in this process, on a tiny model that counts white squares."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from edgecount.cli import cli

Run = Callable[..., Result]


def squares(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw a black frame with white squares of 8 x 8 pixels, far from each other."""
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    for i in range(number):
        x, y = 16 + 48 * (i % 6), 16 + 48 * (i // 6)
        frame[y : y + 8, x : x + 8] = 255
    return frame


@dataclass(frozen=True)
class Files:
    """Makes pictures and clips of so many people (squares) under a folder."""

    root: Path

    def image(self, name: str, people: int, size: tuple[int, int] = (320, 240)) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), squares(people, size))
        return path

    def video(self, name: str, people: Sequence[int], size: tuple[int, int] = (320, 240)) -> Path:
        path = self.root / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, size)
        assert writer.isOpened()
        for number in people:
            writer.write(squares(number, size))
        writer.release()
        return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def run(tiny_model: Path) -> Run:
    """Call a command with the tiny model."""

    def call(command: str, *args: object) -> Result:
        texts = [command, *(str(arg) for arg in args)]
        if command in ("count", "demo", "doctor"):
            texts += ["--model", str(tiny_model)]
        return CliRunner().invoke(cli, texts, prog_name="edgecount")

    return call


@pytest.fixture
def json_lines() -> Callable[[str], list[dict[str, Any]]]:
    """Return a parser of texts with one JSON object a line."""
    return lambda text: [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def read_video() -> Callable[[Path], tuple[int, float, tuple[int, int]]]:
    """Return a reader of a clip's frames that decode, frames per second, and (width, height)."""

    def read(path: Path) -> tuple[int, float, tuple[int, int]]:
        capture = cv2.VideoCapture(str(path))
        fps = capture.get(cv2.CAP_PROP_FPS)
        shapes = []
        while (answer := capture.read())[0]:
            shapes.append(answer[1].shape)
        capture.release()
        return len(shapes), fps, shapes[0][1::-1]

    return read
