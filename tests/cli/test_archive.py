"""`count --out`: tables of archives, in shards, and what its options refuse."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecount.archive.rows import COLUMNS
from edgecount.archive.shards import Shard
from edgecount.archive.store import Store
from edgecount.archive.tables import JsonTable, default_format, open_table

WAIT = 120.0  # s, also for a machine that is ten times slower


@pytest.fixture
def photos(files, tmp_path):
    for i in range(6):
        files.image(f"photos/{'ab'[i % 2]}/{i}.png", i, (320, 64))
    return tmp_path / "photos"


@pytest.fixture
def start(tiny_model):
    """Start the program with the tiny model."""

    def call(*args, **options):
        words = ["count", *map(str, args), "--model", str(tiny_model), "--threads", "1"]
        command = [sys.executable, "-m", "edgecount", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, **pipes, **options)

    return call


def rows(out: Path) -> dict[str, dict]:
    """Return the rows of a table by name; each name must be there once."""
    found = [
        row
        for path in sorted(out.iterdir())
        if path.name.startswith("shard-")
        for row in open_table(path.suffix[1:]).read(path)
    ]
    by_name = {row["source"]: row for row in found}
    assert len(by_name) == len(found)
    return by_name


def test_a_table_of_a_folder(run, photos, tmp_path):
    (photos / "bad.jpg").write_text("no picture")
    result = run("count", photos, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stderr.endswith("bad.jpg is not an image that can be decoded\n")
    assert result.stdout.startswith("6 images counted, 1 failed, 0 left, ")
    assert result.stdout.endswith(f" images a second; the table is in {tmp_path / 'out'}\n")
    table = rows(tmp_path / "out")
    counts = {f"{'ab'[i % 2]}/{i}.png": i for i in range(6)} | {"bad.jpg": None}
    assert {name: row["count"] for name, row in table.items()} == counts
    assert tuple(table["a/2.png"]) == COLUMNS
    assert table["a/2.png"]["model"] == "tiny"
    again = run("count", photos, "--out", tmp_path / "out")
    assert again.stdout == (
        f"0 images counted, 7 done before, 0 left; the table is in {tmp_path / 'out'}\n"
    )
    files = list((tmp_path / "out").glob("shard-1-of-1-*"))
    assert [path.suffix for path in files] == [f".{default_format()}"]


def test_what_is_left_out_is_told_by_one_shard(run, photos, tmp_path):
    (photos / "notes.txt").write_text("x")
    told = [
        run("count", photos, "--out", tmp_path / "out", "--shard", f"{i}/2").stderr for i in (1, 2)
    ]
    other = f"edgecount: warning: {photos}: left out: 1 file of another kind (.txt 1)\n"
    assert told == [other, ""]


def test_a_log_shows_how_far_it_is(run, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("edgecount.cli._archive.telling._PERIOD", 0.0)
    (photos / "bad.png").write_text("no picture")
    lines = run("count", photos, "--out", tmp_path / "out").stderr.splitlines()
    assert re.fullmatch(r"edgecount: 7 of 7 images, 1 failed, \d+\.\d a second", lines[-1])
    more = ("--out", tmp_path / "o", "--shard", "2/2")
    assert "edgecount: shard 2/2: 1 of " in run("count", photos, *more).stderr
    assert run("count", photos, "--out", tmp_path / "p", "--quiet").stderr.count("\n") == 1


def test_shards_and_a_summary_for_programs(run, photos, tmp_path):
    summaries = []
    for i in (1, 2, 3):
        result = run("count", photos, "--out", tmp_path / "o", "--shard", f"{i}/3", "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        summaries.append(json.loads(result.stdout))
    assert sum(summary["counted"] for summary in summaries) == 6
    assert list(summaries[0]) == [
        *("shard", "counted", "failed", "before", "left", "seconds", "images_per_second", "out")
    ]
    assert summaries[2]["shard"] == "3/3"
    assert len(rows(tmp_path / "o")) == 6
    assert len(list((tmp_path / "o").glob("shard-*"))) == 3
    assert run("count", photos, "--out", tmp_path / "o", "--shard", "1/3", "--quiet").stdout == ""


def test_a_list(run, photos, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("photos/a/2.png\n\nphotos/b/1.png\r\nphotos/missing.png\nphotos/a/2.png\n")
    result = run("count", listed, "--out", tmp_path / "out", "--format", "jsonl")
    assert result.stdout.startswith("2 images counted, 1 failed, 0 left")
    table = rows(tmp_path / "out")
    assert table["photos/a/2.png"]["count"] == 2
    assert table["photos/missing.png"]["error_type"] == "SourceError"
    listed.write_text("photos/a/4.png\nphotos/a/2.png\n")  # more came, and some went
    assert (
        "1 image counted, 1 done before" in run("count", listed, "--out", tmp_path / "out").stdout
    )
    assert len(rows(tmp_path / "out")) == 4


def test_names_that_differ_by_a_password_are_one_row(run, tmp_path):
    at = "127.0.0.1:9/a.jpg"
    (tmp_path / "list.txt").write_text(f"http://me:hush1@{at}\nhttp://me:hush2@{at}\n")
    run("count", tmp_path / "list.txt", "--out", tmp_path / "out")
    table = rows(tmp_path / "out")
    assert list(table) == [f"http://{at}"]
    assert "hush" not in str(table)


def test_regions_are_in_the_table(run, photos, tmp_path):
    region = ("--region", "left:0,0;90,0;90,240;0,240")  # the squares are at x = 16, 64, 112
    run("count", photos, "--out", tmp_path / "out", *region)
    assert rows(tmp_path / "out")["b/3.png"]["regions"] == {"left": 2.0}


def test_errors_are_tried_again(run, photos, files, tmp_path):
    (photos / "bad.png").write_text("no picture")
    out = tmp_path / "out"
    run("count", photos, "--out", out)
    files.image("photos/bad.png", 4, (320, 64))
    assert "7 done before" in run("count", photos, "--out", out).stdout
    result = run("count", photos, "--out", out, "--retry-errors")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "1 image counted, 6 done before" in result.stdout
    assert rows(out)["bad.png"]["count"] == 4


def test_a_failure_names_the_flag(run, photos, tmp_path):
    picture = np.zeros((64, 64, 3), np.uint8)
    (photos / "cut.jpg").write_bytes(bytes(cv2.imencode(".jpg", picture)[1])[:-2])
    result = run("count", photos, "--out", tmp_path / "out")
    assert "set --accept-damaged to take it" in result.stderr
    assert "set `accept_damaged` to" in rows(tmp_path / "out")["cut.jpg"]["error"]


def test_many_failures_are_not_told_one_by_one(run, tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"{i}.jpg\n" for i in range(30)))
    result = run("count", tmp_path / "list.txt", "--out", tmp_path / "out")
    lines = result.stderr.splitlines()
    assert lines[9] == f"edgecount: error: no such file: {tmp_path / '9.jpg'}"
    assert lines[10:] == ["edgecount: further errors are in the table alone"]
    assert len(rows(tmp_path / "out")) == 30


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--threshold", "0.2"], "was begun with --threshold none, got 0.2: give what"),
        (["--shard", "1/2"], "was begun with shards 1, got 2: give what"),
        (["--region", "a:0,0;9,0;9,9"], "was begun with --region [], got [{"),
        (["--max-side", "native"], 'was begun with --max-side "model", got "native"'),
        (["--format", "jsonl"], "is parquet, got --format jsonl: leave it out, or choose"),
    ],
)
def test_other_options_are_refused(run, photos, tmp_path, more, told):
    pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    run("count", photos, "--out", out)
    result = run("count", photos, "--out", out, *more)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"the table in {out} {told}" in line
    assert len(rows(out)) == 6


def test_options_that_the_counter_refuses_are_not_kept(run, photos, tmp_path):
    out = tmp_path / "out"
    refused = run("count", photos, "--out", out, "--backend", "onnxruntime", "--precision=float16")
    assert refused.exit_code != 0
    assert "float16" in refused.stderr
    assert "6 images counted" in run("count", photos, "--out", out).stdout


def test_another_folder_is_refused(run, photos, files, tmp_path):
    run("count", photos, "--out", tmp_path / "out")
    files.image("others/a/1.png", 1)
    result = run("count", tmp_path / "others", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert f'got "the folder {tmp_path / "others"}"' in result.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--shard", "0/4"], "expected I/N with I from 1 to N"),
        (["--shard", "5/4"], "expected I/N with I from 1 to N"),
        (["--shard", "three"], "expected I/N, such as 1/16, got 'three'"),
        (["--csv", "x.csv"], "--out writes a table of images, and has no use for --csv"),
        (["--every", "2"], "--out writes a table of images, and has no use for --every\n"),
        (["--newest"], "--out writes a table of images, and has no use for --newest\n"),
        (["--every-frame"], "--out writes a table of images, and has no use for --every-frame\n"),
        (["--no-reconnect"], "--out writes a table of images, and has no use for --no-reconnect\n"),
        (["more"], "--out takes one folder or list, got 2 sources"),
    ],
)
def test_usage(run, photos, tmp_path, args, told):
    result = run("count", photos, "--out", tmp_path / "out", *args)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--shard 1/2", "--retry-errors", "--format jsonl"])
def test_options_of_tables_need_one(run, photos, flag):
    result = run("count", photos, *flag.split())
    assert result.exit_code == 2
    assert f"{flag.split()[0]} is about tables of archives: pass --out DIR too" in result.stderr


def test_what_is_no_archive_begins_no_table(run, files, tmp_path):
    for source, told in {
        files.image("one.png", 1): "expected a folder of images, or a list of them",
        tmp_path / "missing": "no such file or folder",
        tmp_path: "",
    }.items():
        result = run("count", source, "--out", tmp_path / "out", "--shard", "0001/1")
        if told:
            assert (result.exit_code, told in result.stderr) == (1, True)
            assert not (tmp_path / "out").exists()
    assert result.exit_code == 0


def test_without_pyarrow_it_is_json_lines(run, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run("count", photos, "--out", tmp_path / "out").exit_code == 0
    (path,) = (tmp_path / "out").glob("shard-*")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["count"] for line in lines) == list(range(6))
    result = run("count", photos, "--out", tmp_path / "p", "--format", "parquet")
    assert result.exit_code == 1
    assert 'run  pip install "edgecount[archive]"' in result.stderr


def test_another_release_is_a_warning(run, photos, tmp_path):
    run("count", photos, "--out", tmp_path / "out")
    path = tmp_path / "out" / ".edgecount" / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "0.0.1"}))
    result = run("count", photos, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "was begun by edgecount 0.0.1" in result.stderr


def wait_for(condition):
    until = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def journal(out: Path) -> int:
    path = out / ".edgecount" / "shard-1-of-1.journal"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "kill"]
)
def test_a_stop_keeps_what_was_counted(start, files, tmp_path, number, code):
    photo, out = files.image("photo.png", 3, (640, 480)), tmp_path / "out"
    links = tmp_path / "links"
    links.mkdir()
    for i in range(3000):
        (links / f"{i:04}.png").symlink_to(photo)
    with start(links, "--out", out, "--json") as process:
        wait_for(lambda: journal(out) >= 3)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=WAIT)
    assert process.returncode == code, stderr
    summary = json.loads(stdout)
    assert 3 <= summary["counted"] < 3000
    assert summary["left"] == 3000 - summary["counted"]
    assert "edgecount: stopped" in stderr
    assert "Traceback" not in stderr
    assert len(rows(out)) == summary["counted"]


def test_a_second_process_of_a_shard_is_refused(run, photos, tmp_path):
    out = tmp_path / "out"
    with Store(out, Shard(1, 2), JsonTable()):
        result = run("count", photos, "--out", out, "--shard", "1/2")
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert f"process {os.getpid()} on " in line
        assert f"is counting shard 1/2 into {out}: wait for it, or end it" in line
        assert run("count", photos, "--out", out, "--shard", "2/2").exit_code == 0


def test_shards_at_once_and_no_room_for_one(start, files, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    for i in range(30):
        files.image(f"photos/{i}.png", i, (320, 256))

    def little():
        # What Linux refuses of a file that grows past it is as a full disk: parts are written.
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    shards = [f"{i}/2" for i in (1, 2)]
    more = ("--out", out, "--format", "jsonl", "--quiet")
    first, second = (
        start(photos, *more, "--shard", shard, preexec_fn=little if shard == "1/2" else None)
        for shard in shards
    )
    with first, second:
        told = first.communicate(timeout=WAIT)[1]
        assert second.communicate(timeout=WAIT) == ("", "")
    assert (first.returncode, second.returncode) == (1, 0)
    (line,) = told.splitlines()
    assert "File too large; what was counted before is kept, and the same command goes on" in line
    with start(photos, *more, "--shard", "1/2") as again:
        assert again.communicate(timeout=WAIT) == ("", "")
    assert sorted(row["count"] for row in rows(out).values()) == list(range(30))


@pytest.mark.parametrize("name", ["photos.txt", "PHOTOS.LST", "-", "@photos.txt"])
def test_a_list_without_a_table_says_what_it_needs(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for file in ("photos.txt", "PHOTOS.LST"):
        (tmp_path / file).write_text("a.jpg\n")
    result = run("count", name)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.endswith("a list of images is counted into a table: pass --out DIR too")


def test_gifs_of_one_picture_have_rows_and_animations_none(run, tmp_path, json_lines):
    from PIL import Image

    folder = tmp_path / "gifs"
    folder.mkdir()
    one = Image.new("RGB", (320, 240))
    one.save(folder / "one.gif")
    more = {"save_all": True, "append_images": [Image.new("RGB", (320, 240), "white")]}
    one.save(folder / "several.gif", **more)
    result = run("count", folder, "--out", tmp_path / "out", "--format", "jsonl")
    assert result.exit_code == 0, result.stderr
    assert "left out: 1 file of another kind (.gif 1)" in result.stderr
    (table,) = (tmp_path / "out").glob("*.jsonl*")
    (row,) = json_lines(table.read_text())
    assert (row["source"], row["error"]) == ("one.gif", None)
    (tmp_path / "list.txt").write_text("gifs/one.gif\ngifs/several.gif\n")
    listed = run("count", tmp_path / "list.txt", "--out", tmp_path / "two", "--format", "jsonl")
    assert "1 image counted, 1 failed" in listed.stdout
    assert "several.gif is a video" in listed.stderr
    # By itself the still is an image as well, and the other a clip.
    shown = run("count", folder).stdout.splitlines()
    assert "mean of" not in shown[0]
    assert "several.gif" in shown[1]
    assert "mean of 2 frames" in shown[1]
