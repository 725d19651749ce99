"""The settings that a folder of results was begun with."""

from __future__ import annotations

import json
import threading

import pytest

from edgecount import ConfigError, OutputError, Region
from edgecount.archive.settings import claim, describe_model, describe_regions

BEGUN = {"source": "the folder /a", "shards": 4, "threshold": None, "max_side": 640}


def begin(path, now, **open_to):
    return claim(path, now, open_to=open_to or {"format": "parquet"})


def test_the_first_run_says_what_the_others_must_be(tmp_path):
    path = tmp_path / ".edgecount" / "settings.json"
    assert begin(path, BEGUN) == BEGUN | {"format": "parquet"}
    assert begin(path, dict(BEGUN), format="jsonl")["format"] == "parquet"
    assert [one.name for one in path.parent.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"threshold": 0.5}, "begun with `threshold` none, got 0.5"),
        ({"max_side": None}, "begun with `max_side` 640, got none"),
        ({"shards": 8}, "begun with shards 4, got 8"),
        ({"source": "the folder /b"}, 'begun with source "the folder /a", got "the folder /b"'),
        ({"new": [1]}, r"begun with `new` none, got \[1\]"),
        ({"source": "x" * 1000}, r"begun with source \"the folder /a\", got \"x{196}\.\.\.: give"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path, change, told):
    path = tmp_path / ".edgecount" / "settings.json"
    begin(path, BEGUN)
    with pytest.raises(ConfigError, match=f"the table in {tmp_path} was {told}"):
        begin(path, BEGUN | change)
    assert json.loads(path.read_text())["threshold"] is None


def test_of_processes_that_begin_at_once_one_wins(tmp_path):
    path, start = tmp_path / ".edgecount" / "settings.json", threading.Barrier(8)
    outcomes = []

    def run(number):
        start.wait()
        try:
            outcomes.append(claim(path, {"shards": number}, open_to={})["shards"])
        except ConfigError:
            outcomes.append(None)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if outcome is not None]
    assert len(outcomes) == 8
    assert winners == [json.loads(path.read_text())["shards"]]


def test_a_file_system_without_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    path = tmp_path / ".edgecount" / "settings.json"
    assert begin(path, BEGUN)["shards"] == 4
    assert [one.name for one in path.parent.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("data", [b"{", b"[]", b"\0", b"\xff"])
def test_a_damaged_file_is_told(tmp_path, data):
    path = tmp_path / ".edgecount" / "settings.json"
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(OutputError, match=r"settings\.json"):
        begin(path, BEGUN)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "out").write_text("a file")
    path = tmp_path / "out" / ".edgecount" / "settings.json"
    with pytest.raises(OutputError, match=rf"^cannot (read|write) {path}: .*Not a directory"):
        begin(path, BEGUN)


def test_models_and_regions(tiny_model, make_model, tmp_path):
    one = describe_model(tiny_model)
    assert one["model"] == "tiny 1"
    assert len(one["model_sha256"]) == 64
    assert describe_model(tiny_model) == one
    assert describe_model(make_model(unit=2.0)) != one
    region = Region("gate", [(0, 0), (1, 0), (1, 1)], fractions=True)
    assert json.loads(json.dumps(describe_regions([region]))) == describe_regions([region])
