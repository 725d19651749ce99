"""JSON lines and CSV: whole lines, rotation, files of others."""

import csv
import json
import os

import pytest

from edgecount.errors import ConfigError, OutputError
from edgecount.watch.sinks.jsonl import JsonLines
from edgecount.watch.sinks.rotating import RotatingFile
from edgecount.watch.sinks.table import COLUMNS, HEADER, CsvTable


def documents(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines(tmp_path, make_reading, make_event):
    sink = JsonLines(tmp_path / "new" / "counts.jsonl", every=10)
    sink.open()
    # 1,700,000,000 is a multiple of 10.
    for at in (1, 2, 9.9, 10, 19, 35):
        sink.reading(make_reading(at))
        sink.reading(make_reading(at, camera="hall"))
    sink.event(make_event(detail="caf\udce9\n"))
    sink.close()
    found = documents(tmp_path / "new" / "counts.jsonl")
    assert [one["type"] for one in found] == ["reading"] * 6 + ["event"]
    # The first of each ten seconds of the clock.
    times = [one["time"] for one in found if one["camera"] == "door"]
    assert [time[17:19] for time in times] == ["21", "30", "55", "20"]
    counters = found[0]["counters"]
    assert {one["reset_time"] for one in counters} == {"2023-11-14T22:12:20.000Z"}
    whole = [(one["rule"], one["direction"], one["count"]) for one in counters]
    assert whole == [("entrance", "in", 4), ("entrance", "out", 1)]
    assert found[-1]["detail"] == "caf\\xe9\n"


def test_numbers_that_json_does_not_have(tmp_path, make_event):
    sink = JsonLines(tmp_path / "counts.jsonl")
    sink.open()
    sink.event(make_event(count=float("nan"), peak=float("inf")))
    sink.close()
    (found,) = documents(tmp_path / "counts.jsonl")
    assert found["count"] is None
    assert found["peak"] is None


def test_a_table(tmp_path, make_reading, make_event):
    path = tmp_path / "counts.csv"
    sink = CsvTable(path, every=0)
    sink.open()
    sink.reading(make_reading())
    sink.reading(make_reading(1, count=None, interval=None, regions={}, picture="covered"))
    sink.event(make_event(name='a "quoted", broken\nname'))
    sink.close()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    kinds = [row["kind"] for row in rows]
    assert kinds == ["frame", "region", "line", "frame", "line", "alarm"]
    frame, region, line, untrusted, _, alarm = rows
    assert (frame["count"], frame["low"], frame["high"]) == ("12.25", "10.0", "14.5")
    assert (region["name"], region["per_m2"], region["level"]) == ("hall", "0.5", "A")
    assert (line["in"], line["out"], line["since"]) == ("3.6", "1.0", "2023-11-14T22:12:20.000Z")
    assert (untrusted["count"], untrusted["picture"]) == ("", "covered")
    assert (alarm["name"], alarm["change"]) == ('a "quoted", broken name', "raised")
    assert [row["unit"] for row in rows] == [*[""] * 5, "people"]


def test_rotation_keeps_so_many_files(tmp_path):
    path = tmp_path / "a.b.jsonl"
    (tmp_path / "a.b.x.jsonl").write_text("of somebody else")
    file = RotatingFile(path, 20, 2)
    file.open()
    for number in range(100, 110):
        file.write(b"%d 5678\n" % number)  # two to a file
    file.close()
    names = ["a.b.1.jsonl", "a.b.2.jsonl", "a.b.jsonl", "a.b.x.jsonl"]
    assert sorted(one.name for one in tmp_path.iterdir()) == names
    kept = [tmp_path / name for name in ("a.b.2.jsonl", "a.b.1.jsonl", "a.b.jsonl")]
    assert b"".join(one.read_bytes() for one in kept) == b"".join(
        b"%d 5678\n" % number for number in range(104, 110)
    )
    fewer = RotatingFile(path, 20, 0)
    fewer.open()
    fewer.write(b"another\n")
    fewer.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.b.jsonl", "a.b.x.jsonl"]


def test_a_line_that_is_longer_than_a_file(tmp_path):
    file = RotatingFile(tmp_path / "a.txt", 10, 3)
    file.open()
    for line in (b"x" * 50 + b"\n", b"short\n"):
        file.write(line)
    file.close()
    assert (tmp_path / "a.txt").read_bytes() == b"short\n"
    assert (tmp_path / "a.1.txt").stat().st_size == 51


@pytest.mark.parametrize("torn", [b"whole\n" + b"x" * 100_000, b"whole\n{", b"whole\n"])
def test_what_a_kill_left_of_a_line_is_cut_off(tmp_path, torn):
    path = tmp_path / "a.jsonl"
    path.write_bytes(torn)
    file = RotatingFile(path, 1e6, 1)
    file.open()
    file.write(b"next\n")
    file.close()
    assert path.read_bytes() == b"whole\nnext\n"


ROW = b'1,door,alarm,"a, ""b""",5' + b"," * 10 + b"raised,people"
DOCUMENT = b'{"type":"event","unit":null}'
MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("sink", "before"),
    [
        (CsvTable, HEADER + ROW),
        (CsvTable, MARK + HEADER.replace(b"\n", b"\r\n") + ROW + b"\r\n" + ROW),
        (CsvTable, HEADER + b"1,door,frame,,2" + b"," * 11),
        (JsonLines, DOCUMENT + b"\n" + DOCUMENT),
        (JsonLines, MARK + DOCUMENT),
    ],
)
def test_a_whole_last_line_without_an_end_is_ended(tmp_path, make_event, sink, before):
    path = tmp_path / "counts"
    path.write_bytes(before)
    opened = sink(path)
    opened.open()
    opened.event(make_event())
    opened.close()
    after = path.read_bytes()
    assert after.startswith(before + b"\n")
    assert len(after.splitlines()) == len(before.splitlines()) + 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("sink", "whole", "line"), [(CsvTable, HEADER, ROW), (JsonLines, DOCUMENT + b"\n", DOCUMENT)]
)
def test_a_last_line_that_is_not_whole_is_cut_off(tmp_path, sink, whole, line):
    path = tmp_path / "counts"
    for size in range(1, len(line)):
        if line[:size].endswith(b",raised,"):
            continue  # as whole as a row of a camera
        path.write_bytes(whole + line[:size])
        opened = sink(path)
        opened.open()
        opened.close()
        assert path.read_bytes() == whole, line[:size]


@pytest.mark.parametrize("keep", [0, 10])
@pytest.mark.parametrize("mark", [MARK, b""])
@pytest.mark.parametrize("end", [b"\r", b""])
@pytest.mark.parametrize(
    ("sink", "lines"), [(CsvTable, [HEADER[:-1], ROW, ROW]), (JsonLines, [DOCUMENT, DOCUMENT])]
)
def test_a_file_whose_line_ends_are_cr_alone_is_put_aside(
    tmp_path, make_event, caplog, keep, mark, end, sink, lines
):
    path, aside = tmp_path / "counts.txt", tmp_path / "counts.1.txt"
    before = mark + b"\r".join(lines) + end
    path.write_bytes(before)
    opened = sink(path, keep=keep)
    opened.open()
    opened.event(make_event())
    assert aside.read_bytes() == before
    # A spreadsheet may also save it while it is written.
    saved = tmp_path / "saved"
    saved.write_bytes(before.replace(b"door", b"hall"))
    saved.replace(path)
    opened.event(make_event("cleared"))
    opened.close()
    assert aside.read_bytes() == before.replace(b"door", b"hall")
    assert b"cleared" in path.read_bytes()
    told = f"{path} cannot be continued: its line ends are CR alone; it is now {aside}"
    assert [one.getMessage() for one in caplog.records] == [told] * 2


def test_a_table_that_is_put_aside_keeps_a_last_row_without_an_end(tmp_path, caplog):
    path, aside = tmp_path / "counts.csv", tmp_path / "counts.1.csv"
    before = b"time,camera,people\n1,2,3"
    path.write_bytes(before)
    sink = CsvTable(path)
    sink.open()
    sink.close()
    assert aside.read_bytes() == before
    (told,) = caplog.records
    assert "it has other columns; it is now" in told.getMessage()


@pytest.mark.parametrize("keep", [0, 10])
@pytest.mark.parametrize("sink", [CsvTable, JsonLines])
@pytest.mark.parametrize(
    "text", ["time,people\n1,2\n", "a single line", "notes\nand no end", '{"a": 1}\n', "\xff\xd8"]
)
def test_a_file_of_somebody_else_is_left_as_it_is(tmp_path, keep, sink, text):
    path = tmp_path / "notes"
    path.write_text(text)
    with pytest.raises(OutputError, match="it is a file of another kind: name another one"):
        sink(path, keep=keep).open()
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("sink", [CsvTable, JsonLines])
@pytest.mark.parametrize("left", [b"", b"{", b"t", b"\0" * 4096])
def test_what_a_power_cut_left_of_a_first_line_is_ours(tmp_path, sink, left):
    start = {CsvTable: b"t", JsonLines: b"{"}[sink]
    path = tmp_path / "counts"
    path.write_bytes(left)
    if left in (b"", start) or left.startswith(b"\0"):
        opened = sink(path)
        opened.open()
        opened.close()
        assert path.read_bytes() == b""
    else:
        with pytest.raises(OutputError):
            sink(path).open()


def test_a_table_of_an_older_version_is_put_aside(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("time,camera,people\n1,2,3\n")
    for _ in range(2):
        sink = CsvTable(path)
        sink.open()
        sink.close()
    assert (tmp_path / "counts.1.csv").read_text() == "time,camera,people\n1,2,3\n"
    assert not (tmp_path / "counts.2.csv").exists()


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_a_table_that_a_spreadsheet_saved_goes_on(tmp_path, make_event, mark, end):
    path = tmp_path / "counts.csv"
    before = mark + HEADER.rstrip() + end + b"1,door" + b"," * 14 + end
    path.write_bytes(before)
    for _ in range(2):
        sink = CsvTable(path)
        sink.open()
        sink.event(make_event())
        sink.close()
    assert path.read_bytes().startswith(before)
    assert len(path.read_text().splitlines()) == 4
    assert list(tmp_path.iterdir()) == [path]


def test_lines_go_on_after_a_mark(tmp_path, make_event):
    path = tmp_path / "counts.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"type":"event"}\n')
    sink = JsonLines(path)
    sink.open()
    sink.event(make_event())
    sink.close()
    assert len(path.read_text().splitlines()) == 2


def test_a_table_without_its_first_line_is_told_what_it_lacks(tmp_path):
    path = tmp_path / "counts.csv"
    text = "2023-11-14T22:13:20.000Z,door,frame,,12.25\n"
    path.write_text(text)
    with pytest.raises(OutputError) as refused:
        CsvTable(path).open()
    lost = f"has lost its first line, put {','.join(COLUMNS)} there again"
    assert str(refused.value) == (
        f"cannot write {path}: it is a file of another kind: name another one; if it is a table "
        f"that {lost}"
    )
    assert path.read_text() == text
    path.write_bytes(HEADER + text.encode())
    CsvTable(path).open()


def test_a_file_that_is_moved_is_begun_anew(tmp_path):
    path = tmp_path / "a.csv"
    file = RotatingFile(path, 1e6, 1, b"header\n")
    file.open()
    file.write(b"1\n")
    path.rename(tmp_path / "moved")
    file.write(b"2\n")
    path.unlink()
    file.write(b"3\n")
    file.close()
    assert (tmp_path / "moved").read_bytes() == b"header\n1\n"
    assert path.read_bytes() == b"header\n3\n"


def test_two_writers_are_told(tmp_path):
    first, second = (RotatingFile(tmp_path / "a", 1e6, 1) for _ in range(2))
    first.open()
    with pytest.raises(OutputError, match="another process writes it"):
        second.open()
    second.close()
    first.close()
    second.open()
    second.close()


def test_places_that_are_no_file(tmp_path):
    (tmp_path / "file").touch()
    for path, reason in (
        (tmp_path, "is a folder"),
        ("/dev/full", "is a device"),
        (tmp_path / "file" / "a", "is no folder"),
    ):
        with pytest.raises(OutputError, match=f"cannot write .*{reason}"):
            JsonLines(path).open()
    for wrong in ({"every": -1}, {"every": float("nan")}, {"size_mb": 0}, {"keep": -1}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: expected"):
            JsonLines(tmp_path / "a", **wrong)


@pytest.mark.parametrize("sink", [CsvTable, JsonLines])
def test_a_file_that_is_emptied_in_place_begins_anew(tmp_path, make_event, sink):
    path = tmp_path / "counts"
    opened = sink(path)
    opened.open()
    opened.event(make_event())
    os.truncate(path, 0)
    opened.event(make_event("cleared"))
    opened.close()
    lines = path.read_text().splitlines()
    assert "cleared" in lines[-1]
    assert len(lines) == (2 if sink is CsvTable else 1)
    opened.open()  # it is ours again
    opened.close()
