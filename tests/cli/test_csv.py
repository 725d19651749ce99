"""`count --csv`: a row per frame, whole whatever ends the run; and what is said of files."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgecount.cli._count import table

REGION = ("--region", "left:0,0;90,0;90,240;0,240")  # the squares are at x = 16, 64, 112


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_frame(run, files, tmp_path):
    image, clip = files.image('a, "b".png', 3), files.video("clip.avi", [1, 2])
    out = tmp_path / "new" / "table.csv"
    result = run("count", image, clip, "--csv", out, *REGION)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == f"wrote {out}"
    rows = read(out)
    assert [(row["source"], row["frame"]) for row in rows] == [
        (str(image), "0"),
        (str(clip), "0"),
        (str(clip), "1"),
    ]
    first = rows[0]
    assert (first["width"], first["height"], first["peak_count"]) == ("320", "240", "3")
    assert (float(first["count"]), float(first["region left"])) == (3.0, 2.0)
    assert first["low"] == ""  # the tiny model has no interval
    assert float(rows[2]["time"]) == pytest.approx(0.1)
    assert [path.name for path in out.parent.iterdir()] == ["table.csv"]


def test_a_table_on_stdout(run, files):
    path = files.image("a.png", 2)
    header, row = run("count", path, "--csv", "-").stdout.splitlines()
    assert header.startswith("source,frame,time,width,height,count,low,high,")
    assert row.startswith(f"{path},0,0.0,320,240,2.0,,,2.0,2")


def test_with_json(run, files, tmp_path, json_lines):
    result = run("count", files.image("a.png", 2), "--json", "--csv", tmp_path / "t.csv")
    assert len(json_lines(result.stdout)) == len(read(tmp_path / "t.csv")) == 1


def test_an_existing_table_is_kept_unless_asked(run, files, tmp_path):
    out = tmp_path / "t.csv"
    out.write_text("mine")
    path = files.image("a.png", 1)
    result = run("count", path, "--csv", out)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert out.read_text() == "mine"
    assert run("count", path, "--csv", out, "--overwrite").exit_code == 0
    assert len(read(out)) == 1


@pytest.mark.parametrize("args", [("--json", "--csv", "-"), ("--csv", "-", "--overwrite")])
def test_wrong_use(run, files, args):
    assert run("count", files.image("a.png", 1), *args).exit_code == 2


def test_a_table_that_cannot_be_written_is_told_before_any_work(run, files):
    path = files.image("a.png", 1)
    result = run("count", path, "--csv", path / "t.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1


def test_a_device_is_not_replaced(run, files, tmp_path):
    path = tmp_path / "device"
    path.symlink_to("/dev/null")
    result = run("count", files.image("a.png", 1), "--csv", path, "--overwrite")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "a device" in result.stderr
    assert Path("/dev/null").is_char_device()


def test_a_source_is_not_replaced(run, files):
    path = files.image("a.png", 1)
    before = path.read_bytes()
    result = run("count", path, "--csv", path, "--overwrite")
    assert result.exit_code == 1
    assert "one of the sources" in result.stderr
    assert path.read_bytes() == before


def test_nothing_counted_leaves_no_table(run, tmp_path, files):
    files.image("a.png", 1)
    (tmp_path / "bad.png").write_text("hello")
    assert run("count", tmp_path / "bad.png", "--csv", tmp_path / "t.csv").exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "bad.png"]


class FullDisk:
    """A file on a disk that has room for so many bytes."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self._file.__enter__()

    def __exit__(self, *args):
        return self._file.__exit__(*args)

    def write(self, data):
        if not self._room:
            raise OSError(28, "No space left on device")
        done = self._file.write(data[: self._room])
        self._room -= done
        return done


def test_a_full_disk_keeps_the_rows_that_are_whole(run, files, tmp_path, monkeypatch):
    made = table.CsvFile.__init__

    def make(self, *args, **options):
        made(self, *args, **options)
        self._file = FullDisk(self._file, 100 + 4 * len(str(clip)))

    monkeypatch.setattr(table.CsvFile, "__init__", make)
    clip = files.video("c.avi", [1] * 9)  # each row has its path
    result = run("count", clip, "--csv", tmp_path / "t.csv")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "No space left on device" in line
    rows = read(tmp_path / "t.csv")
    assert 1 <= len(rows) < 9
    assert all(None not in row.values() for row in rows)


def test_ctrl_c_keeps_the_rows(files, tmp_path, tiny_model):
    clip, out = files.video("clip.avi", [1] * 3000), tmp_path / "t.csv"
    command = ["-m", "edgecount", "count", str(clip), "--csv", str(out), "--model", str(tiny_model)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL) as process:
        partial = tmp_path / "t.csv.partial"
        while not partial.exists() or partial.stat().st_size < 500:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    signal.signal(signal.SIGINT, before)
    rows = read(out)
    assert [int(row["frame"]) for row in rows] == list(range(len(rows)))
    assert not partial.exists()


def test_what_was_saved_is_said(run, files, tmp_path):
    paths = [files.image(f"{name}.png", 1) for name in "abcd"]
    out = tmp_path / "out"
    assert run("count", paths[0], "--save", out).stdout.splitlines()[-1] == (
        f"wrote {out / 'a.overlay.png'}"
    )
    lines = run("count", *paths, "--save", out, "--overwrite").stdout.splitlines()
    assert lines[-1] == f"wrote 4 files to {out}"
    assert "wrote" not in run("count", *paths, "--save", out, "--overwrite", "-q").stdout


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_break_in_a_name_keeps_the_row_whole(run, files, tmp_path, end):
    image = files.image(f"a{end}b.png", 3)
    out = tmp_path / "table.csv"
    printed = run("count", image, "--csv", "-").stdout
    assert run("count", image, "--csv", out).exit_code == 0
    assert [(row["source"], row["peak_count"]) for row in read(out)] == [(str(image), "3")]
    assert len(list(csv.reader(printed.splitlines(keepends=True)))) == 2


def test_two_runs_do_not_write_one_table(run, files, tmp_path):
    image, out = files.image("a.png", 3), tmp_path / "table.csv"
    with table.CsvFile(out, (), overwrite=False) as first:
        first._write(["a row"])
        result = run("count", image, "--csv", out)
        assert result.exit_code == 1
        assert f"another run is writing {out}.partial: choose another name" in result.stderr
    assert out.read_text().splitlines()[1:] == ["a row"]


def test_rows_of_a_run_that_was_killed_are_kept(run, files, tmp_path):
    image, out = files.image("a.png", 3), tmp_path / "table.csv"
    left = tmp_path / "table.csv.partial"
    left.write_text("source,frame\na.png,0\n")
    result = run("count", image, "--csv", out)
    assert result.exit_code == 1
    assert f"{left} holds the rows of a run that was killed: move it away" in result.stderr
    assert left.read_text() == "source,frame\na.png,0\n"
    assert run("count", image, "--csv", out, "--overwrite").exit_code == 0
    out.unlink()
    left.write_text("source,frame\n")  # of a run that was killed before its first frame
    assert run("count", image, "--csv", out).exit_code == 0
    assert [row["peak_count"] for row in read(out)] == ["3"]
    assert not left.exists()


def test_a_table_that_gets_its_name_meanwhile_is_not_written_over(tmp_path, monkeypatch):
    out, other = tmp_path / "table.csv", tmp_path / "other"
    lock, partial = table._lock, tmp_path / "table.csv.partial"

    def lock_late(file, path):
        if not other.exists():
            partial.rename(other)  # as the run that had it does at its end
        lock(file, path)

    monkeypatch.setattr(table, "_lock", lock_late)
    with table.CsvFile(out, (), overwrite=False) as written:
        written._write(["a row"])
    assert other.read_text() == ""
    assert out.read_text().splitlines()[1:] == ["a row"]
