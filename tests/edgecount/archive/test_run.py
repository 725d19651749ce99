"""Counting a shard: a row for each image, and errors that stay with their image."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgecount import BackendError, EdgeCounter, InputError, OutputError, SourceError
from edgecount.archive.images import open_images
from edgecount.archive.run import ShardRun, Work
from edgecount.archive.shards import Shard
from edgecount.archive.store import Store
from edgecount.archive.tables import JsonTable

WAIT = 60.0  # s, also for a machine that is ten times slower


class Fussy(EdgeCounter):
    """A counter whose engine fails at pictures of some numbers of people."""

    fails = staticmethod(lambda _result: None)  # returns an error, or None

    def refine(self, frame, result):
        error = self.fails(result)
        if error is not None:
            raise error
        return result


@pytest.fixture
def fussy(tiny_model):
    with Fussy(tiny_model, threads=1) as one:
        yield one


def count(source, out, counter, *, shard=Shard(), rows_per_file=1000, **more):  # noqa: B008
    images = open_images(str(source))
    names = [name for name in images.names() if shard.holds(name)]
    with Store(out, shard, JsonTable(), rows_per_file=rows_per_file) as store:
        return ShardRun(counter, store, **more).count(Work.of(images, names, store.done))


def table(out: Path) -> dict[str, object]:
    """Return the counts, or the errors' types, by name; each name must be there once."""
    rows = [row for path in sorted(out.glob("*.jsonl")) for row in JsonTable().read(path)]
    found = {row["source"]: row["error_type"] or row["count"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_every_image_has_a_row(archive, counter, tmp_path):
    photos = archive({f"{i % 3}/{i}.png": i % 5 for i in range(12)})
    (photos / "bad.jpg").write_text("no picture")
    (photos / "cut.png").write_bytes((photos / "0/0.png").read_bytes()[:90])
    seen = []
    progress = count(photos, tmp_path / "out", counter, on_row=lambda row, _: seen.append(row))
    expected = {f"{i % 3}/{i}.png": i % 5 for i in range(12)}
    bad = {"bad.jpg": "SourceError", "cut.png": "SourceError"}
    assert table(tmp_path / "out") == expected | bad
    assert (progress.counted, progress.failed, progress.left) == (12, 2, 0)
    assert not progress.stopped
    assert {row["source"] for row in seen} == {*expected, *bad}
    again = count(photos, tmp_path / "out", counter)
    assert (again.before, again.total) == (14, 0)


def test_shards_are_the_whole(archive, counter, tmp_path):
    photos = archive({f"{i}.png": i % 5 for i in range(20)})
    for index in (1, 2, 3):
        count(photos, tmp_path / "out", counter, shard=Shard(index, 3))
    assert table(tmp_path / "out") == {f"{i}.png": i % 5 for i in range(20)}


def test_bad_images_alone_are_rows(counter, tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"{i}.jpg\n" for i in range(30)))
    progress = count(tmp_path / "list.txt", tmp_path / "out", counter)
    assert progress.failed == 30
    assert set(table(tmp_path / "out").values()) == {"SourceError"}


def test_an_engine_that_fails_at_a_frame_goes_on_with_the_next(archive, fussy, tmp_path):
    photos = archive({f"{i:02}.png": i % 5 for i in range(20)})
    errors = {3: BackendError("cannot"), 4: InputError("will not"), 1: MemoryError()}
    fussy.fails = lambda result: errors.get(round(result.count))
    progress = count(photos, tmp_path / "out", fussy)
    kinds = {number: type(error).__name__ for number, error in errors.items()}
    assert table(tmp_path / "out") == {f"{i:02}.png": kinds.get(i % 5, i % 5) for i in range(20)}
    assert (progress.counted, progress.failed) == (8, 12)


def test_an_engine_that_fails_at_all_ends_the_run(archive, fussy, tmp_path):
    photos = archive({f"{i:02}.png": i for i in range(6)})

    def fails(result):
        # The blank frame, by which it is found out, as well.
        is_late = round(result.count) > 2 or result.size == (64, 64)
        return BackendError("the engine is gone") if is_late else None

    fussy.fails = fails
    with pytest.raises(BackendError, match="the engine is gone"):
        count(photos, tmp_path / "out", fussy)
    assert table(tmp_path / "out") == {f"{i:02}.png": i for i in range(3)}
    fussy.fails = lambda _: None
    assert count(photos, tmp_path / "out", fussy).counted == 3


def test_an_engine_that_fails_at_all_that_is_real_ends_the_run(archive, fussy, tmp_path):
    photos = archive({f"{i:02}.png": 1 for i in range(40)})
    fussy.fails = lambda result: BackendError("too large") if result.count > 0.5 else None
    with pytest.raises(BackendError, match="too large"):
        count(photos, tmp_path / "out", fussy)
    assert len(table(tmp_path / "out")) == 19


def test_a_disk_that_goes_away_is_no_fault_of_the_images(archive, fussy, tmp_path):
    photos = archive({f"{i:02}.png": 1 for i in range(40)})

    def unmount(_):
        if photos.exists():
            photos.rename(tmp_path / "elsewhere")

    fussy.fails = unmount
    with pytest.raises(SourceError, match="went away"):
        count(photos, tmp_path / "out", fussy)
    counted = table(tmp_path / "out")
    assert set(counted.values()) == {1}
    (tmp_path / "elsewhere").rename(photos)
    fussy.fails = lambda _: None
    assert count(photos, tmp_path / "out", fussy).before == len(counted)
    assert set(table(tmp_path / "out").values()) == {1}
    assert len(table(tmp_path / "out")) == 40


def test_a_run_may_be_stopped_and_goes_on(archive, counter, tmp_path):
    photos = archive({f"{i:02}.png": 1 for i in range(40)})
    seen = []
    progress = count(
        photos,
        tmp_path / "out",
        counter,
        on_row=lambda row, _: seen.append(row),
        stopped=lambda: len(seen) >= 5,
    )
    assert progress.stopped
    assert 5 <= progress.counted < 40
    assert progress.left == 40 - progress.counted
    again = count(photos, tmp_path / "out", counter)
    assert (again.before, again.left) == (progress.counted, 0)
    assert len(table(tmp_path / "out")) == 40


@pytest.mark.parametrize("bad", [False, True], ids=["of a count", "of an image that is bad"])
def test_a_row_that_cannot_be_written_ends_the_run(archive, counter, tmp_path, monkeypatch, bad):
    photos = archive({f"{i:02}.png": 1 for i in range(20)})
    if bad:
        (photos / "05.png").write_text("no picture")
    add = Store.add

    def full(self, row):
        if row["source"] == "05.png":
            raise OutputError("no space left")
        add(self, row)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "add", full)
        with pytest.raises(OutputError, match="no space left"):
            count(photos, tmp_path / "out", counter)
    count(photos, tmp_path / "out", counter)
    assert len(table(tmp_path / "out")) == 20


def test_a_run_leaves_no_threads_and_frames_behind(archive, counter, tmp_path):
    count(archive({f"{i:02}.png": 1 for i in range(9)}), tmp_path / "out", counter)
    until = time.monotonic() + WAIT
    while any("archive" in t.name for t in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.01)
    assert not [t.name for t in threading.enumerate() if "edgecount-archive" in t.name]
    gc.collect()


KILLED = """
import os, sys, threading
from pathlib import Path
from edgecount import EdgeCounter
from edgecount.archive import run, store, tables, images, shards
photos, out, model, after = sys.argv[1:]
seen, source = [], images.open_images(photos)
table = tables.open_table(tables.default_format())
def on_row(row, progress):
    seen.append(row)
    if len(seen) == int(after):
        print("kill me", flush=True)
with EdgeCounter(model, threads=1) as counter, store.Store(
    Path(out), shards.Shard(), table, rows_per_file=7
) as rows:
    work = run.Work.of(source, list(source.names()), rows.done)
    run.ShardRun(counter, rows, on_row=on_row).count(work)
"""


def test_no_kill_loses_or_doubles_a_row(archive, tiny_model, tmp_path):
    """Each round is killed at another moment, told by a row and a random time after it."""
    from edgecount.archive.tables import default_format, open_table

    photos, out = archive({f"{i:03}.png": i % 5 for i in range(400)}), tmp_path / "out"
    (photos / "200.png").write_text("no picture")
    command = [sys.executable, "-c", KILLED, str(photos), str(out), str(tiny_model)]
    rows_before, format_ = 0, open_table(default_format())

    def kept():
        with Store(out, Shard(), format_) as store:
            return len(store.done)

    for after in (1, 20, 48):
        with subprocess.Popen([*command, str(after)], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"kill me\n"
            time.sleep(after % 7 / 1000)
            process.kill()
        rows = kept()
        assert rows >= rows_before + after
        rows_before = rows
    assert subprocess.run([*command, "0"], check=False).returncode == 0
    found = [row for path in sorted(out.glob("shard-*")) for row in format_.read(path)]
    assert sorted(row["source"] for row in found) == [f"{i:03}.png" for i in range(400)]
    counts = {row["source"]: row["count"] for row in found if row["error"] is None}
    assert counts == {f"{i:03}.png": i % 5 for i in range(400) if i != 200}
