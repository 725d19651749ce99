"""`count` on videos: frames, pace, annotated clips, Ctrl-C and closed pipes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from clips import encode, picture
from edgecount.cli._count import run as count_run


def test_video_is_one_line(run, files):
    path = files.video("clip.avi", [2, 2, 4, 4])
    result = run("count", path)
    assert (result.exit_code, result.stderr) == (0, "")
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"      3.0  {path}  mean of 4 frames, lowest 2.0, highest 4.0, ")
    assert line.endswith(" fps")


def test_json_is_a_line_per_frame(run, files, json_lines):
    lines = json_lines(run("count", files.video("clip.avi", [1, 2, 3]), "--json").stdout)
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert [line["time"] for line in lines] == pytest.approx([0, 0.1, 0.2])
    assert lines[0]["size"] == [320, 240]
    assert [round(line["count"]) for line in lines] == [1, 2, 3]


@pytest.mark.parametrize(
    ("args", "frames"),
    [
        (["--every", 3], [0, 3, 6, 9]),
        (["--max-frames", 2], [0, 1]),
        (["--every", 4, "--max-frames", 2], [0, 4]),
        (["--every", 99], [0]),
        (["--every", 10**30, "--max-frames", 10**30], [0]),
    ],
)
def test_pace(run, files, json_lines, args, frames):
    path = files.video("clip.avi", [1] * 10)
    lines = json_lines(run("count", path, "--json", *args).stdout)
    assert [line["frame"] for line in lines] == frames


def test_pace_leaves_images_alone(run, files, json_lines):
    both = files.image("one.png", 2), files.video("clip.avi", [1] * 6)
    lines = json_lines(run("count", *both, "--every", 5, "--json").stdout)
    assert [Path(line["source"]).name for line in lines] == ["one.png", "clip.avi", "clip.avi"]


def test_annotated_clip(run, files, tmp_path, read_video):
    path = files.video("clip.avi", [1] * 8, size=(323, 241))
    result = run("count", path, "--save", tmp_path / "out", "--every", 2)
    assert result.exit_code == 0
    frames, fps, size = read_video(tmp_path / "out" / "clip.overlay.mp4")
    assert (frames, fps, size) == (4, 5.0, (322, 240))  # half the frames, as long as before


@pytest.mark.parametrize(
    "stamps",
    [[0, 1500, 1600, 1700, 3200], [round(1001 / 30 * index) for index in range(30)]],
    ids=["a variable rate", "television's"],
)
def test_frames_of_an_annotated_clip_have_their_own_times(run, tmp_path, stamps):
    path = tmp_path / "clip.mkv"
    path.write_bytes(encode("libx264", "matroska", [picture(1)] * len(stamps), stamps=stamps))
    assert run("count", path, "--save", tmp_path / "out", "--every", 2).exit_code == 0
    with av.open(str(tmp_path / "out" / "clip.overlay.mp4")) as clip:
        times = [1000 * float(frame.pts * frame.time_base) for frame in clip.decode(video=0)]
    assert times == pytest.approx(stamps[::2], abs=0.02)


def test_pictures_are_converted_only_to_be_looked_at(run, files, tmp_path, monkeypatch):
    """Bringing them from a GPU may take longer than counting them."""
    seen = []
    monkeypatch.setattr(count_run, "bgr_picture", lambda image: seen.append(1) or image)
    path = files.video("clip.avi", [1] * 3)
    assert run("count", path).exit_code == 0
    assert not seen
    assert run("count", path, "--save", tmp_path / "out").exit_code == 0
    assert len(seen) == 3
    assert run("count", path, "--line", "door:0%,50%;100%,50%").exit_code == 0
    assert len(seen) == 6


def test_images_and_videos_in_one_folder(run, files, tmp_path):
    files.image("in/a.png", 1)
    files.video("in/b.avi", [5, 5])
    lines = run("count", tmp_path / "in").stdout.splitlines()
    assert lines[-1] == "           1 image, 1 video"


def test_video_that_breaks_off_keeps_what_was_counted(run, files, tmp_path, json_lines):
    path = files.video("clip.avi", [1] * 40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    result = run("count", path, "--json", "--save", tmp_path / "out")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    lines = json_lines(result.stdout)
    assert (tmp_path / "out" / "clip.overlay.mp4").is_file() == bool(lines)


def start(*args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgecount", "count", *(str(arg) for arg in args)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, bufsize=1)


def test_ctrl_c_ends_cleanly(files, tmp_path, tiny_model, read_video):
    path = files.video("clip.avi", [1] * 3000)
    out = tmp_path / "out"
    with start(path, "--model", tiny_model, "--json", "--save", out) as process:
        lines = [process.stdout.readline() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        # Not communicate(), which loses what readline() has read ahead.
        rest, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert errors == "edgecount: stopped\n"
    counted = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    assert 5 <= len(counted) < 3000
    assert read_video(out / "clip.overlay.mp4")[0] == len(counted)


def test_ctrl_c_prints_the_summary(files, tmp_path, tiny_model):
    path = files.video("clip.avi", [1] * 3000)
    out = tmp_path / "out"
    with start(path, "--model", tiny_model, "--save", out) as process:
        while not list(out.glob("clip.overlay.mp4.*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "mean of" in output


def test_closed_pipe_is_quiet(files, tiny_model):
    path = files.video("clip.avi", [1] * 500)
    with start(path, "--model", tiny_model, "--json") as process:
        assert json.loads(process.stdout.readline())["frame"] == 0
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 141


def test_a_folder_with_a_number_for_a_name(run, files, tmp_path, monkeypatch):
    files.image("2024/a.png", 2)
    monkeypatch.chdir(tmp_path)
    assert "2024/a.png" in run("count", "2024", "-q").stdout


def test_what_is_left_out_of_a_folder_is_told(run, files, tmp_path):
    files.image("in/a.png", 2)
    for name in ("b.txt", "c.txt", "d.pdf", "e"):
        (tmp_path / "in" / name).write_text("dear diary")
    result = run("count", tmp_path / "in")
    assert result.exit_code == 0
    told = "left out: 4 files of other kinds (.txt 2, .pdf 1, no suffix 1)"
    assert [line for line in result.stderr.splitlines() if line.endswith(told)]


def test_a_damaged_video_ends_in_an_error_after_its_line(run, files, tmp_path):
    path = files.video("clip.avi", [2] * 12)
    data = bytearray(path.read_bytes())
    start = len(data) // 2
    data[start : start + 400] = b"\xff\xc0" * 200
    path.write_bytes(data)
    result = run("count", path, "-q", "--save", tmp_path / "out")
    assert result.exit_code == 1
    assert "mean of" in result.stdout
    assert "clip.avi is damaged: " in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.overlay.mp4"]


def test_names_with_colons(run, files, tmp_path, monkeypatch, read_video):
    files.video("clip.avi", [3] * 4).rename(tmp_path / "2024-05-01T12:00:00.avi")
    monkeypatch.chdir(tmp_path)
    result = run("count", "2024-05-01T12:00:00.avi", "-q", "--save", "run12:00")
    assert (result.exit_code, result.stderr) == (0, "")
    assert read_video(tmp_path / "run12:00" / "2024-05-01T12-00-00.overlay.mp4")[0] == 4
