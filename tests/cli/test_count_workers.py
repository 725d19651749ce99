"""`count --workers`: images and frames side by side, printed as one by one."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgecount.runtime.sources.video import VideoSource


@pytest.fixture
def folder(files) -> Path:
    for people in range(6):
        files.image(f"in/{people}.png", people)
    (files.root / "in" / "3.png").write_bytes(b"no picture")
    files.video("in/7.avi", [1, 2, 3, 4, 5, 6])
    files.image("in/8.png", 8)
    return files.root / "in"


def without_times(line: str) -> dict[str, object]:
    result = json.loads(line)
    del result["timings_ms"]
    return result


@pytest.mark.parametrize("args", [(), ("--max-frames", 2), ("--every", 4)])
def test_all_is_printed_as_by_one_worker(run, folder, tmp_path, args) -> None:
    told = {}
    for workers in (1, 3):
        table, overlays = tmp_path / f"{workers}.csv", tmp_path / str(workers)
        common = (folder, "--workers", workers, *args)
        text = run("count", *common, "--csv", table, "--save", overlays)
        as_json = run("count", *common, "--json")
        assert (text.exit_code, as_json.exit_code) == (1, 1)
        told[workers] = (
            re.sub(r", [0-9.]+ fps", "", text.stdout.replace(str(overlays), "out")),
            text.stderr,
            [without_times(line) for line in as_json.stdout.splitlines()],
            table.read_text(),
            sorted(path.name for path in overlays.iterdir()),
            [path.read_bytes() for path in sorted(overlays.glob("*.png"))],
        )
    assert told[1] == told[3]
    (line,) = told[3][1].splitlines()
    assert str(folder / "3.png") in line
    assert len(told[3][4]) == 7


@pytest.mark.parametrize("workers", [0, "many"])
def test_workers_are_a_number(run, folder, workers) -> None:
    result = run("count", folder, "--workers", workers)
    assert result.exit_code == 2
    assert "--workers" in result.stderr


def test_no_more_frames_are_read_than_are_counted(run, files, monkeypatch) -> None:
    path = files.video("clip.avi", [1] * 30)
    read: list[int] = []
    frames = VideoSource.frames

    def noted(self):
        for frame in frames(self):
            read.append(frame.index)
            yield frame

    monkeypatch.setattr(VideoSource, "frames", noted)
    result = run("count", path, "--json", "--every", 3, "--max-frames", 4, "--workers", 3)
    indices = [json.loads(line)["frame"] for line in result.stdout.splitlines()]
    assert indices == [0, 3, 6, 9]
    assert read == list(range(10))


def test_ctrl_c_prints_the_images_in_hand(files, tmp_path, tiny_model) -> None:
    photo, links = files.image("photo.png", 3, (1000, 700)), tmp_path / "links"
    links.mkdir()
    for index in range(2000):
        (links / f"{index:04}.png").symlink_to(photo)
    command = [sys.executable, "-m", "edgecount", "count", links, "--model", tiny_model]
    command += ["--workers", "3", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, bufsize=1) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        # Not communicate(), which loses what readline() has read ahead.
        rest, errors = process.stdout.read(), process.stderr.read()
    assert (process.returncode, errors) == (130, "edgecount: stopped\n")
    names = [Path(json.loads(line)["source"]).name for line in [*lines, *rest.splitlines()]]
    assert names == [f"{index:04}.png" for index in range(len(names))]
    assert 3 <= len(names) < 2000
