"""Annotations that are written, read back, kept and refused."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import edgecount.label.store as module
from edgecount.errors import ConfigError, OutputError, SourceError
from edgecount.label.labels import Labels
from edgecount.label.store import ConflictError, LabelStore
from edgecount.label.table import choose_file, read_table, render, unfit_name
from edgecount.train.data.readers import guess_reader, read_samples, read_set

DONE = Labels("done", ((10.0, 20.5), (30.25, 5.0)), (96, 64))
OPEN = Labels("open", ((1.0, 2.0),), (64, 48))
REOPENED = Labels("open", DONE.points, (96, 64))
EMPTY = Labels("empty", (), (80, 60))


def put(store, name, labels):
    return store.put(name, labels, store.get(name).revision)


@pytest.fixture
def table(folder):
    return folder / "labels.csv"


def test_readers_read_what_is_written(folder, table):
    with LabelStore(table) as store:
        put(store, "a.jpg", DONE)
        put(store, "b.png", OPEN)
        put(store, "c.jpg", EMPTY)
    assert guess_reader(folder) == "csv"
    samples, reading = read_set("csv", folder)
    assert [sample.path.name for sample in samples] == ["a.jpg", "c.jpg"]
    np.testing.assert_array_equal(samples[0].points, DONE.points)
    assert len(samples[1].points) == 0
    assert samples[0].annotated_size[:2] == (96, 64)
    assert samples[0].image().shape == (64, 96, 3)
    # What is begun is not annotated, and not empty.
    assert [path.name for path in reading.unannotated] == ["b.png"]
    assert {found.usual for found in reading.unannotated.values()} == {"skip"}


@pytest.mark.parametrize(
    "name", ["a b.jpg", "a,b.jpg", 'a"b.jpg', "ä-人.jpg", "a;b;c.jpg", "#.jpg"]
)
def test_names_that_a_table_has_to_quote(folder, table, name):
    (folder / "a.jpg").rename(folder / name)
    with LabelStore(table) as store:
        put(store, name, DONE)
        put(store, "c.jpg", EMPTY)
    with LabelStore(table) as store:
        assert store.get(name) == DONE
    assert read_samples("csv", folder)[0].path.exists()
    assert read_samples("csv", folder)[1].path.exists()


def test_names_that_no_table_can_say():
    assert unfit_name("a.jpg") is None
    for name in (" a.jpg", "a.jpg ", "a\nb.jpg", "a\\b.jpg", "a\udc80.jpg"):
        assert "rename it" in unfit_name(name)


def test_it_goes_on_where_it_ended(table):
    with LabelStore(table) as store:
        put(store, "a.jpg", DONE)
        put(store, "b.png", OPEN)
        put(store, "c.jpg", EMPTY)
    with LabelStore(table) as store:
        assert [store.get(name) for name in ("a.jpg", "b.png", "c.jpg")] == [DONE, OPEN, EMPTY]
        assert store.tally() == {"open": 1, "done": 1, "empty": 1, "heads": 2}
        put(store, "a.jpg", Labels("open", DONE.points, (96, 64)))  # opened again
        put(store, "c.jpg", Labels())
    with LabelStore(table) as store:
        assert store.get("a.jpg").state == "open"
        assert store.get("c.jpg") == Labels()
        assert table.read_text() == "image,x,y,image_width,image_height\n"


@pytest.mark.parametrize(
    ("before", "after", "step", "call"),
    [
        (DONE, REOPENED, "write_table", 1),
        (REOPENED, DONE, "write_table", 1),
        (REOPENED, DONE, "write_drafts", 2),
        (REOPENED, EMPTY, "write_drafts", 2),
    ],
)
def test_an_end_between_the_two_files_loses_nothing(table, monkeypatch, before, after, step, call):
    write, calls = getattr(module, step), []

    def killed_at(*given):
        calls.append(given)
        if len(calls) == call:
            raise KeyboardInterrupt
        write(*given)

    with LabelStore(table) as store:
        put(store, "a.jpg", before)
        monkeypatch.setattr(module, step, killed_at)
        with pytest.raises(KeyboardInterrupt):
            put(store, "a.jpg", after)
        monkeypatch.undo()
    with LabelStore(table) as store:
        assert store.get("a.jpg") == after
        assert store.drafts.exists() == (after == REOPENED)
        assert ("a.jpg" in table.read_text()) == after.is_finished


CHILD = """
import sys
from pathlib import Path
from edgecount.label.labels import Labels
from edgecount.label.store import LabelStore

store, number = LabelStore(Path(sys.argv[1])), 0
while True:
    number += 1
    for name in ("a.jpg", "b.png"):
        state = "done" if number % 3 else "open"
        labels = Labels(state, tuple((float(i), 1.0) for i in range(number % 50 + 1)))
        store.put(name, labels, store.get(name).revision)
        print(number, name, state, len(labels.points), flush=True)
"""


def test_nothing_told_as_saved_is_lost_by_a_kill(table):
    for _ in range(3):
        command = [sys.executable, "-c", CHILD, str(table)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            try:
                said = [child.stdout.readline().split() for _ in range(9)]
                assert all(said), "the child ended"
            finally:
                child.send_signal(signal.SIGKILL)
            rest = child.stdout.read()  # communicate() loses what readline() has read ahead
        complete = rest.rpartition("\n")[0].splitlines()
        said += [line.split() for line in complete]
        with LabelStore(table) as store:
            # Of the other picture a newer save may have been under way.
            _, name, state, number = said[-1]
            assert (store.get(name).state, len(store.get(name).points)) == (state, int(number))
            assert {store.get(one).state for one in ("a.jpg", "b.png")} <= {"open", "done"}
        for left in table.parent.glob("*.partial"):
            left.unlink()


def test_a_revision_of_before_is_refused(table):
    with LabelStore(table) as store:
        first = store.get("a.jpg").revision
        store.put("a.jpg", DONE, first)
        with pytest.raises(ConflictError) as caught:
            store.put("a.jpg", EMPTY, first)
        assert caught.value.current == DONE
        assert store.put("a.jpg", DONE, first) == DONE  # the same again
        assert store.get("a.jpg") == DONE


def test_many_writers_at_once(table):
    with LabelStore(table) as store:

        def write(name):
            for number in range(1, 6):
                put(store, name, Labels("done", ((float(number), 1.0),)))

        threads = [threading.Thread(target=write, args=(f"{i}.jpg",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {len(labels.points) for labels in read_table(table).values()} == {1}
    assert len(read_table(table)) == 4


def test_what_another_program_wrote_is_not_overwritten(table):
    with LabelStore(table) as store:
        put(store, "a.jpg", DONE)
        table.write_text("image,x,y\na.jpg,1,1\n")
        with pytest.raises(OutputError, match="changed by another program"):
            put(store, "b.png", EMPTY)
    assert table.read_text() == "image,x,y\na.jpg,1,1\n"
    with LabelStore(table) as store:
        assert store.get("a.jpg").points == ((1.0, 1.0),)


def test_two_processes_do_not_write_one_folder(table):
    pytest.importorskip("fcntl")
    with LabelStore(table), pytest.raises(ConfigError, match="another edgecount label writes"):
        LabelStore(table)
    LabelStore(table).close()


@pytest.mark.parametrize(
    "text",
    [
        "image,x,y\na.jpg,10,20.5\na.jpg,30.25,5\nc.jpg,,\n",
        "a.jpg,10,20.5\na.jpg,30.25,5\nc.jpg\n",
        "sep=;\nfilename;x;y\n./a.jpg;10;20,5\na.jpg;30,25;5\nc.jpg;;\n",
        "\ufeffimage\tx\ty\r\na.jpg\t10\t20.5\r\na.jpg\t30.25\t5\r\nc.jpg\t\t\r\n",
    ],
)
def test_tables_of_others_are_read_and_kept(table, text):
    table.write_bytes(text.encode())
    with LabelStore(table) as store:
        assert store.get("a.jpg").points == DONE.points
        assert store.get("c.jpg").state == "empty"
        assert table.read_bytes() == text.encode()  # nothing was changed yet
        put(store, "b.png", OPEN)
        put(store, "b.png", Labels("done", OPEN.points, (64, 48)))
    copy = table.with_name("labels.csv.before-label")
    assert copy.read_bytes() == text.encode()
    assert [len(sample.points) for sample in read_samples("csv", table.parent)] == [2, 1, 0]


def test_rows_of_pictures_elsewhere_are_kept(table):
    table.write_text("image,x,y\nother/far.jpg,3,4\n")
    with LabelStore(table) as store:
        put(store, "a.jpg", DONE)
    assert "other/far.jpg,3,4,,\n" in table.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "image,x,y,w,h\na.jpg,1,2,3,4\n",
        "image,x1,y1,x2,y2\na.jpg,1,2,3,4\n",
        "image,x,y,class\na.jpg,1,2,head\n",
        "image,x,y,note\na.jpg,1,2,near the door\n",
    ],
)
def test_what_would_be_lost_is_refused(table, text):
    table.write_text(text)
    with pytest.raises(ConfigError, match=r"would lose: choose another file \(--out\)"):
        LabelStore(table)
    assert table.read_text() == text


def test_files_that_cannot_be_read(table):
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match=r"labels\.csv cannot be read"):
        LabelStore(table)
    table.unlink()
    drafts = table.with_name("labels.csv.drafts")
    for text in ("{", "[]", '{"form": "other"}', '{"form": "edgecount label drafts 1"}'):
        drafts.write_text(text)
        with pytest.raises(SourceError, match="no file of drafts"):
            LabelStore(table)
    drafts.unlink()
    os.mkfifo(drafts)
    with pytest.raises(SourceError, match="FIFO"):
        LabelStore(table)


def test_a_folder_that_takes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(OutputError, match="is not writable: choose another file"):
        LabelStore(tmp_path / "labels.csv")
    monkeypatch.undo()
    with pytest.raises(OutputError, match="cannot write to the folder"):
        LabelStore(tmp_path / "none" / "labels.csv")


def test_which_table_is_gone_on_with(folder):
    assert choose_file(folder, None).name == "labels.csv"
    (folder / "heads.CSV").write_text("image,x,y\n")
    assert choose_file(folder, None).name == "heads.CSV"
    (folder / "more.tsv").write_text("")
    with pytest.raises(ConfigError, match=r"several tables \(heads.CSV, more.tsv\)"):
        choose_file(folder, None)
    assert choose_file(folder, folder / "more.tsv").name == "more.tsv"
    with pytest.raises(ConfigError, match=r"expected a \.csv"):
        choose_file(folder, folder / "more.json")


def test_a_table_beside_the_folder(client_of, folder):
    out = folder.parent / "set.csv"
    client = client_of(out=out)
    revision = client.get("/api/picture?name=a.jpg").json()["revision"]
    body = {"state": "done", "points": [[1, 2]], "revision": revision}
    assert client.put("/api/picture?name=a.jpg", json=body).status_code == 200
    assert "pictures/a.jpg,1,2,96,64" in out.read_text()
    assert read_samples("csv", out)[0].path == folder / "a.jpg"


def test_many_heads_of_many_pictures(table):
    points = tuple((float(i), i / 8) for i in range(3000))
    table.write_bytes(render({f"{i}.jpg": Labels("done", points) for i in range(5)}))
    with LabelStore(table) as store:
        put(store, "new.jpg", DONE)
        assert store.tally()["heads"] == 15_002
    assert not table.with_name("labels.csv.before-label").exists()  # it was of our own form
