"""The files of a shard: whole at any moment, and every row once, whatever ends a run."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from edgecount import OutputError, SourceError
from edgecount.archive import tables
from edgecount.archive.rows import COLUMNS, Row, arrow_schema, make_row
from edgecount.archive.shards import Shard
from edgecount.archive.store import Store
from edgecount.archive.tables import JsonTable, ParquetTable, Table, default_format, open_table

FORMATS = [pytest.param(JsonTable, id="jsonl"), pytest.param(ParquetTable, id="parquet")]


@pytest.fixture(params=FORMATS)
def table(request) -> Table:
    if request.param is ParquetTable:
        pytest.importorskip("pyarrow")
    return request.param()


def counted(name: str) -> Row:
    """Return a row of numbers that take all their digits."""
    row = make_row(name, SourceError("x")) | {"error": None, "error_type": None}
    return row | {"count": len(name) / 3, "peak_count": 4, "regions": {"gate": 0.1, "ü": 1e-9}}


def read(folder: Path, table: Table) -> list[Row]:
    return [row for path in sorted(folder.glob(f"*{table.suffix}")) for row in table.read(path)]


def sources(folder: Path, table: Table) -> list[str]:
    return [row["source"] for row in read(folder, table)]


class Crash(BaseException):
    """An end of the process at this very moment: what would tidy up does not run."""


def crash(store: Store) -> None:
    store._stack.close()  # the system closes what a process had open


def test_rows_become_files(tmp_path, table):
    with Store(tmp_path, Shard(2, 16), table, rows_per_file=3) as store:
        for i in range(7):
            store.add(counted(f"{i}.jpg"))
        visible = sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".")
        assert visible == [f"shard-02-of-16-0000{i}{table.suffix}" for i in (1, 2)]
        assert sources(tmp_path, table) == [f"{i}.jpg" for i in range(6)]
    assert read(tmp_path, table) == [counted(f"{i}.jpg") for i in range(7)]
    with Store(tmp_path, Shard(2, 16), table) as store:
        assert store.done == {f"{i}.jpg" for i in range(7)}
        store.add(counted("7.jpg"))
    assert sources(tmp_path, table) == [f"{i}.jpg" for i in range(8)]


def test_readers_of_the_folder_see_whole_files_alone(tmp_path):
    pandas, ds = pytest.importorskip("pandas"), pytest.importorskip("pyarrow.dataset")
    with Store(tmp_path, Shard(1, 2), ParquetTable(), rows_per_file=2) as store:
        for i in range(3):
            store.add(counted(f"{i}.jpg"))
        (tmp_path / tables.PRIVATE / "x.parquet.1234.partial").write_bytes(b"half")
        assert list(pandas.read_parquet(tmp_path)["source"]) == ["0.jpg", "1.jpg"]
    with Store(tmp_path, Shard(2, 2), ParquetTable()):
        pass
    found = ds.dataset(tmp_path)
    assert found.count_rows() == 3
    assert found.schema.equals(arrow_schema())


def test_schemas_are_equal_whatever_is_in_a_shard(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    rows = {1: [counted("a")], 2: [make_row("b", SourceError("no"))], 3: []}
    for index, some in rows.items():
        with Store(tmp_path, Shard(index, 3), ParquetTable()) as store:
            for row in some:
                store.add(row)
    files = sorted(tmp_path.glob("*.parquet"))
    assert len(files) == 3
    assert all(pq.read_schema(path).equals(arrow_schema()) for path in files)


def test_both_formats_give_equal_rows(tmp_path):
    pytest.importorskip("pyarrow")
    rows = [counted("a\udcff"), make_row("b\n\"'", SourceError("no")), counted("ü" * 5)]
    for name, table in (("a", JsonTable()), ("b", ParquetTable())):
        with Store(tmp_path / name, Shard(), table) as store:
            for row in rows:
                store.add(row)
    assert read(tmp_path / "a", JsonTable()) == read(tmp_path / "b", ParquetTable()) == rows


def test_what_a_kill_leaves_is_taken_up(tmp_path, table):
    store = Store(tmp_path, Shard(), table, rows_per_file=5)
    for i in range(7):
        store.add(counted(f"{i}.jpg"))
    crash(store)
    assert len(sources(tmp_path, table)) == 5
    with Store(tmp_path, Shard(), table, rows_per_file=5) as store:
        assert len(store.done) == 7
        for i in range(7, 12):
            store.add(counted(f"{i}.jpg"))
    assert sources(tmp_path, table) == [f"{i}.jpg" for i in range(12)]


@pytest.mark.parametrize("moment", ["before the file", "before its name", "after its name"])
def test_a_kill_while_a_file_is_made(tmp_path, table, monkeypatch, moment):
    def stop(*_, **__):
        raise Crash

    store = Store(tmp_path, Shard(), table, rows_per_file=3)
    with monkeypatch.context() as patched:
        if moment == "before the file":
            patched.setattr(type(table), "write", stop)
        elif moment == "before its name":
            patched.setattr(Path, "replace", stop)
            patched.setattr(Path, "unlink", stop)  # a killed process leaves it
        else:
            patched.setattr(store, "_rewrite", stop)
        store.add(counted("0.jpg"))
        store.add(counted("1.jpg"))
        with pytest.raises(Crash):
            store.add(counted("2.jpg"))
    crash(store)
    with Store(tmp_path, Shard(), table, rows_per_file=3) as store:
        assert store.done == {"0.jpg", "1.jpg", "2.jpg"}
        store.add(counted("3.jpg"))
    assert sources(tmp_path, table) == [f"{i}.jpg" for i in range(4)]
    assert not list((tmp_path / tables.PRIVATE).glob("*.partial"))


@pytest.mark.parametrize("torn", [b'{"source": "3.j', b"\0" * 50, b"{}\n", b"[1]\n", b"\xff\xfe\n"])
def test_a_torn_end_of_the_journal_is_cut_off(tmp_path, table, torn):
    store = Store(tmp_path, Shard(), table)
    for i in range(3):
        store.add(counted(f"{i}.jpg"))
    crash(store)
    journal = tmp_path / tables.PRIVATE / "shard-1-of-1.journal"
    with journal.open("ab") as file:
        file.write(torn)
    store = Store(tmp_path, Shard(), table)
    assert store.done == {"0.jpg", "1.jpg", "2.jpg"}
    store.add(counted("3.jpg"))
    crash(store)
    with Store(tmp_path, Shard(), table):
        pass
    assert sources(tmp_path, table) == [f"{i}.jpg" for i in range(4)]


def test_a_full_disk_is_one_error_and_loses_nothing(tmp_path, table):
    store = Store(tmp_path, Shard(), table)
    store.add(counted("0.jpg"))
    journal = store._journal

    class Full:
        def write(self, data):
            if len(data) < 100:
                raise OSError(errno.ENOSPC, "No space left on device")
            return journal.write(data[:-90])  # a part still fits

        def __getattr__(self, name):
            return getattr(journal, name)

    store._journal = Full()
    told = r"cannot write .*: No space left on device; what was counted before is kept"
    with pytest.raises(OutputError, match=told), store:
        store.add(counted("1.jpg"))
    assert sources(tmp_path, table) == []
    with Store(tmp_path, Shard(), table) as store:
        assert store.done == {"0.jpg"}
        store.add(counted("1.jpg"))
    assert sources(tmp_path, table) == ["0.jpg", "1.jpg"]


def test_no_room_for_a_file_is_one_error_and_loses_nothing(tmp_path, table, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        told = pytest.raises(OutputError, match=r"No space left on device; what was counted")
        with told, Store(tmp_path, Shard(), table, rows_per_file=2) as store:
            store.add(counted("0.jpg"))
            store.add(counted("1.jpg"))
    assert sources(tmp_path, table) == []
    with Store(tmp_path, Shard(), table) as store:
        assert store.done == {"0.jpg", "1.jpg"}
    assert sources(tmp_path, table) == ["0.jpg", "1.jpg"]


def test_an_error_of_counting_makes_a_file_of_what_there_is(tmp_path, table):
    with suppress(RuntimeError), Store(tmp_path, Shard(), table) as store:
        store.add(counted("0.jpg"))
        raise RuntimeError
    assert sources(tmp_path, table) == ["0.jpg"]


def test_errors_are_forgotten_to_be_tried_again(tmp_path, table):
    def fill(store):
        for name in ("0", "1", "2", "3", "4", "5", "6"):
            bad = name in "1256"
            store.add(make_row(name, SourceError("no")) if bad else counted(name))

    store = Store(tmp_path, Shard(), table, rows_per_file=2)  # 01 23 45 and 6 in the journal
    fill(store)
    crash(store)
    with Store(tmp_path, Shard(), table, rows_per_file=2) as store:
        assert store.forget_errors() == 4
        assert store.done == {"0", "3", "4"}
        assert sources(tmp_path, table) == ["0", "3", "4"]
        for name in "1256":
            store.add(counted(name))
    assert read(tmp_path, table) == [counted(name) for name in "0341256"]


def test_a_shard_is_written_by_one_process_alone(tmp_path, table):
    busy = pytest.raises(
        OutputError,
        match=rf"^process \d+ on .* is counting shard 1/2 into {tmp_path}: wait for it, or end it$",
    )
    with Store(tmp_path, Shard(1, 2), table):
        with busy, Store(tmp_path, Shard(1, 2), table):
            pass
        with Store(tmp_path, Shard(2, 2), table):
            pass
    with Store(tmp_path, Shard(1, 2), table):
        pass


def test_the_lock_of_a_dead_process_blocks_nobody(tmp_path):
    script = (
        "import os, sys, pathlib\n"
        "from edgecount.archive.shards import Shard\n"
        "from edgecount.archive.store import Store\n"
        "from edgecount.archive.tables import JsonTable\n"
        "with Store(pathlib.Path(sys.argv[1]), Shard(), JsonTable()): os._exit(9)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == 9
    with Store(tmp_path, Shard(), JsonTable()):
        pass


def test_a_file_that_cannot_be_read_is_told(tmp_path, table):
    with Store(tmp_path, Shard(), table) as store:
        store.add(counted("0.jpg"))
    (path,) = tmp_path.glob("shard-*")
    path.write_bytes(b"broken")
    with pytest.raises(OutputError, match=f"cannot read {path}: .*; delete it, and its images"):
        Store(tmp_path, Shard(), table)
    path.unlink()
    with Store(tmp_path, Shard(), table) as store:
        assert not store.done


def test_a_folder_that_cannot_be_made_is_told(tmp_path, table):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot write .*out.*: Not a directory"):
        Store(tmp_path / "out", Shard(), table)


def test_the_format_depends_on_what_is_installed(monkeypatch):
    pytest.importorskip("pyarrow")
    assert default_format() == "parquet"
    assert isinstance(open_table("parquet"), ParquetTable)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert default_format() == "jsonl"
    assert isinstance(open_table("jsonl"), JsonTable)


def test_a_line_that_was_cut_is_logged(tmp_path, caplog):
    crash(Store(tmp_path, Shard(), JsonTable()))
    (tmp_path / tables.PRIVATE / "shard-1-of-1.journal").write_bytes(b"{")
    with (
        caplog.at_level(logging.INFO, "edgecount"),
        Store(tmp_path, Shard(), JsonTable()) as store,
    ):
        assert not store.done
    assert "a line that was cut short is left out" in caplog.text


def test_columns_are_those_of_the_schema():
    pytest.importorskip("pyarrow")
    assert tuple(arrow_schema().names) == COLUMNS
