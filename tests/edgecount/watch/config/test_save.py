"""Configs that a program changes in the file that people wrote."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ruamel.yaml")

from edgecount.errors import ConfigError, OutputError
from edgecount.watch.config import ABSENT, SettingError, load, save
from written import DOOR, WRITTEN

TRIANGLE = [[0, 0], [0.25, 0], [0.5, 1]]


def changed_lines(path: Path, changes: dict[Any, Any]) -> tuple[list[str], list[str]]:
    """Return the lines that are gone, and those that came."""
    before = path.read_text().splitlines()
    assert save(path, changes) == load(path)
    after = path.read_text().splitlines()
    return [x for x in before if x not in after], [x for x in after if x not in before]


def test_what_is_not_changed_stays_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    save(path, {(*DOOR, "rate"): 5, (*DOOR, "lines", "entrance", "end"): [0.5, 0]})
    assert path.read_bytes() == before
    gone, came = changed_lines(path, {(*DOOR, "rate"): 2.5})
    assert (gone, came) == (["        rate: 5.0"], ["        rate: 2.5"])


@pytest.mark.parametrize(
    ("changes", "gone", "came"),
    [
        (
            {(*DOOR, "lines", "yes"): {"start": [0, 0], "end": [1, 1]}},
            [],
            ['            "yes": {start: [0, 0], end: [1, 1]}'],
        ),
        ({(*DOOR, "smooth"): {"mean": 1}}, ["        smooth:"], ["        smooth: {mean: 1}"]),
        (
            {(*DOOR, "excluded"): [TRIANGLE]},
            ["        excluded:", "        - [[0, 0], [0.1, 0], [0.1, 0.1]]  # the screen"],
            ["        excluded: [[[0, 0], [0.25, 0], [0.5, 1]]]"],
        ),
        ({(*DOOR, "rate"): ABSENT}, ["        rate: 5.0"], []),
        (
            {("cameras", "hall", "title"): "a: b"},
            ["        title: The hall"],
            ['        title: "a: b"'],
        ),
        ({("sinks", "csv", "every"): 3}, ["sinks: {}"], ["sinks: {csv: {every: 3}}"]),
        ({("serve",): {}}, [], ["serve: {}"]),
        ({("serve", "read_only"): ABSENT}, [], []),
    ],
)
def test_changes(path: Path, changes: dict[Any, Any], gone: list[str], came: list[str]) -> None:
    assert changed_lines(path, changes) == (gone, came)


def test_a_region_is_renamed_and_comments_stay(path: Path) -> None:
    save(path, {(*DOOR, "regions"): {"room": {"polygon": TRIANGLE}}})
    text = path.read_text()
    for comment in (
        "# What is",
        "---",
        "# the door",
        "# its pass",
        "# half",
        "# The lines",
        "# no",
    ):
        assert comment in text
    assert "regions: {room: {polygon: [[0, 0], [0.25, 0], [0.5, 1]]}}   # half" in text


def test_a_renamed_shape_stays_in_its_place(path: Path) -> None:
    line = {"start": [0.5, 1], "end": [0.5, 0]}
    save(path, {(*DOOR, "lines"): {"entrance": line, "10": line, "2": line}})
    for names in (["entrance", "30", "2"], ["way in", "7", "2", "new"], ["way in", "2", "5"]):
        save(path, {(*DOOR, "lines"): dict.fromkeys(names, line)})
        assert [*load(path).cameras["door"].lines] == names
    assert "# no more" in path.read_text()


LINE = {"start": [0.5, 1], "end": [0.5, 0]}
NAMED = """\
cameras:
  door:
    source: rtsp://h/s
    lines:  # of the hall
      # The way in,
      # and out
      gate: {start: [0.5, 1], end: [0.5, 0]}  # by day
      '10':
        start: [0.5, 1]
        end: [0.5, 0]
        # by night

      # of staff
      '2': {start: [0.5, 1], end: [0.5, 0]}
    # no more lines
    regions: {a: {polygon: [[0, 0], [1, 0], [1, 1]]}, b: {polygon: [[0, 0], [1, 0],
      [0, 1]]}}  # both
"""


def test_the_order_of_names_is_saved_and_comments_go_with_their_names(path: Path) -> None:
    path.write_text(NAMED)
    regions = {"b": {"polygon": [[0, 0], [1, 0], [0, 1]]}}
    regions["a"] = {"polygon": [[0, 0], [1, 0], [1, 1]]}
    lines = dict.fromkeys(["new", "2", "gate", "10"], LINE)
    config = save(path, {(*DOOR, "lines"): lines, (*DOOR, "regions"): regions})
    for one in (config, load(path)):
        assert [*one.cameras["door"].lines] == [*lines]
        assert [*one.cameras["door"].regions] == ["b", "a"]
    expected = """\
cameras:
  door:
    source: rtsp://h/s
    lines:  # of the hall
      new: {start: [0.5, 1], end: [0.5, 0]}

      # of staff
      '2': {start: [0.5, 1], end: [0.5, 0]}
      # The way in,
      # and out
      gate: {start: [0.5, 1], end: [0.5, 0]}  # by day
      '10':
        start: [0.5, 1]
        end: [0.5, 0]
        # by night
    # no more lines
    regions: {b: {polygon: [[0, 0], [1, 0],
      [0, 1]]}, a: {polygon: [[0, 0], [1, 0], [1, 1]]}}  # both
"""
    assert path.read_text() == expected


def test_keys_that_are_no_names_stay_in_their_order(path: Path) -> None:
    before = path.read_bytes()
    save(path, {(*DOOR, "lines"): {"entrance": {"end": [0.5, 0], "start": [0.5, 1]}}})
    assert path.read_bytes() == before


def test_the_last_line_of_a_file_may_have_no_end(path: Path) -> None:
    text = "cameras:\n  b: {source: 'rtsp://b'}\n  a: {source: 'rtsp://a'}"
    path.write_text(text)
    cameras = {name: {"source": f"rtsp://{name}"} for name in ("a", "b")}
    save(path, {("cameras",): cameras})
    assert path.read_text() == ("cameras:\n  a: {source: 'rtsp://a'}\n  b: {source: 'rtsp://b'}\n")


@pytest.mark.parametrize(
    "lines",
    [
        "{gate: &g {start: [0.5, 1], end: [0.5, 0]}, side: *g}",
        "\n      gate: &g {start: [0.5, 1], end: [0.5, 0]}\n      side: *g",
        "&all {gate: {start: [0.5, 1], end: [0.5, 0]}, side: {start: [0.5, 1], end: [0.5, 0]}}",
    ],
)
def test_an_order_that_anchors_keep_is_that_of_the_config(path: Path, lines: str) -> None:
    path.write_text(f"cameras:\n  door:\n    source: rtsp://h/s\n    lines: {lines}\n")
    before = path.read_bytes()
    config = save(path, {(*DOOR, "lines"): dict.fromkeys(["side", "gate"], LINE)})
    assert [*config.cameras["door"].lines] == [*load(path).cameras["door"].lines]
    assert [*config.cameras["door"].lines] == ["gate", "side"]
    assert path.read_bytes() == before


OTHER = [[0.1, 0], [0.6, 0], [0.5, 0.9]]
REGIONS = """\
cameras:
  door:
    source: rtsp://h/s
    regions:
      desk: {polygon: [[0, 0], [0.25, 0], [0.5, 1]]}  # the desk
      hall: {polygon: [[0, 0], [0.5, 0], [0.5, 1.00]]}  # the foyer
    lines:
      gate: {start: [0.5, 1], end: [0.5, 0]}  # the gate
"""
HALL = {"polygon": [[0, 0], [0.5, 0], [0.5, 1]], "excluded": []}


def test_a_region_drawn_where_one_was_removed_has_not_its_comment(path: Path) -> None:
    path.write_text(REGIONS)
    regions = {"desk": {"polygon": TRIANGLE}, "region 1": {"polygon": OTHER}}
    lines = {"line 1": {"start": [0.1, 1], "end": [0.1, 0]}}
    save(path, {(*DOOR, "regions"): regions, (*DOOR, "lines"): lines})
    text = path.read_text()
    assert "# the desk\n" in text
    assert "# the foyer" not in text
    assert "# the gate" not in text
    assert [*load(path).cameras["door"].regions] == [*regions]


@pytest.mark.parametrize(
    "regions",
    [
        {"desk": {"polygon": TRIANGLE}, "foyer": HALL},
        {"table": {"polygon": TRIANGLE}, "foyer": HALL},
        {"foyer": HALL},  # and one removed
        {"new": {"polygon": OTHER}, "foyer": HALL},
    ],
)
def test_a_renamed_region_keeps_its_comment(path: Path, regions: dict[str, Any]) -> None:
    path.write_text(REGIONS)
    lines = {"door": LINE}  # the only one
    save(path, {(*DOOR, "regions"): regions, (*DOOR, "lines"): lines})
    text = path.read_text()
    assert "      foyer: {polygon: [[0, 0], [0.5, 0], [0.5, 1.00]], excluded: []}  # the foyer" in (
        text.splitlines()
    )
    assert "      door: {start: [0.5, 1], end: [0.5, 0]}  # the gate" in text.splitlines()
    assert ("# the desk" in text) == (regions.keys() & {"desk", "table"} != set())
    assert [*load(path).cameras["door"].regions] == [*regions]


def test_secrets_stay_as_they_were_written(path: Path) -> None:
    config = save(path, {(*DOOR, "source"): "rtsp://viewer:hunter2@h/s", (*DOOR, "rate"): 1})
    assert config.cameras["door"].source == "rtsp://viewer:hunter2@h/s"
    assert "hunter2" not in path.read_text()
    assert "${PASSWORD}@h/s" in path.read_text()


def test_a_new_text_takes_nothing_from_the_environment(path: Path) -> None:
    config = save(path, {(*DOOR, "title"): "${PASSWORD} $${PASSWORD} $$${PASSWORD}"})
    assert config.cameras["door"].title == "${PASSWORD} $${PASSWORD} $$${PASSWORD}"
    assert load(path) == config


def test_rights_line_ends_and_links_stay(path: Path) -> None:
    link = path.with_name("link.yaml")
    link.symlink_to(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    path.chmod(0o640)
    save(link, {(*DOOR, "rate"): 1, ("serve",): {}})
    data = path.read_bytes()
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert data.startswith(b"\xef\xbb\xbf# What")
    assert data.count(b"\r\n") == data.count(b"\n") == len(WRITTEN.splitlines())
    assert sorted(path.parent.iterdir()) == [path, link]


def test_a_file_that_somebody_changed_is_refused(path: Path) -> None:
    config = load(path)
    path.write_text(path.read_text().replace("rate: 5.0", "rate: 7"))
    with pytest.raises(ConfigError, match="was changed since it was read"):
        save(path, {(*DOOR, "rate"): 1}, since=config)
    assert "rate: 7" in path.read_text()
    after = save(path, {(*DOOR, "title"): "Door"})  # what they changed stays
    assert (after.cameras["door"].rate, after.cameras["door"].title) == (7, "Door")
    save(path, {(*DOOR, "title"): "A door"}, since=after)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({(*DOOR, "rate"): -1}, r"^cameras\.door\.rate: expected pictures"),
        ({(*DOOR, "rate"): float("nan")}, r"^cameras\.door\.rate: expected a finite number"),
        ({(*DOOR, "rate"): "5"}, r"^cameras\.door\.rate: expected a number"),
        ({(*DOOR, "rat"): 5}, r"did you mean rate\?"),
        ({(*DOOR, "title"): "\ud800"}, "expected a text of whole characters"),
        ({(*DOOR, "title"): {1, 2}}, "expected a number, a text"),
        ({(*DOOR, "source", "x"): 1}, r"^cameras\.door\.source: expected keys and values"),
        ({(*DOOR, "source"): ABSENT}, r"^cameras\.door\.source: it is missing"),
        ({"rate": 1}, "expected keys of changes as a tuple"),
    ],
)
def test_refused_changes_leave_the_file(path: Path, changes: dict[Any, Any], expected: str) -> None:
    before = path.read_bytes()
    with pytest.raises(SettingError, match=expected):
        save(path, changes)
    assert path.read_bytes() == before


def test_what_an_anchor_shares_is_left_to_people(path: Path) -> None:
    text = (
        "cameras:\n  a: &a\n    source: 'rtsp://x'\n    smooth: &s {mean: 1}\n  b: *a\n"
        "  c: {<<: *a, rate: 1}\n  d: {source: 'rtsp://y', smooth: *s}\n"
    )
    path.write_text(text)
    for keys in (("b", "rate"), ("a", "title"), ("c", "source"), ("d", "smooth", "mean")):
        value: Any = 2 if keys[-1] in ("rate", "mean") else "rtsp://z"
        if keys == ("c", "source"):
            save(path, {("cameras", *keys): value})  # beside what is merged into it
            assert load(path).cameras["a"].source == "rtsp://x"
            path.write_text(text)
            continue
        with pytest.raises(SettingError, match="by hand"):
            save(path, {("cameras", *keys): value})
        assert path.read_text() == text


def test_a_file_that_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
        with pytest.raises(OutputError, match="read-only for this user"):
            save(path, {(*DOOR, "rate"): 1})
    assert path.read_bytes() == before
