"""The actor's class, called without a cluster."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecount import EdgeCounter
from edgecount.archive.rows import arrow_schema
from edgecount.errors import ConfigError, SourceError


def by_source(table: Any) -> dict[str, dict[str, Any]]:
    rows = {row["source"]: row for row in table.to_pylist()}
    assert len(rows) == table.num_rows
    return rows


@pytest.fixture
def files(crowd: Path, tmp_path: Path) -> list[Path]:
    """Return two images, and files of which none can be counted."""
    whole = (crowd / "7.png").read_bytes()
    contents = {"cut.png": whole[:80], "empty.png": b"", "text.jpg": b"dear diary"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    bad = [tmp_path / name for name in contents]
    return [crowd / "7.png", *bad, crowd / "9.png"]


def test_contents_of_files(tiny_model: Path, files: list[Path]) -> None:
    from edgecount.ray import Counter

    counter = Counter(tiny_model, regions={"top": [(0, 0), (64, 0), (64, 32), (0, 32)]})
    paths = [str(path) for path in files]
    contents = np.array([path.read_bytes() for path in files], object)
    table = counter({"path": np.array(paths, object), "bytes": contents})

    assert table.schema == arrow_schema()
    rows = by_source(table)
    assert set(rows) == set(paths)
    with EdgeCounter(tiny_model) as plain:
        for path in (paths[0], paths[-1]):
            assert rows[path]["count"] == plain.count(path).count
            assert rows[path]["error"] is None
    assert dict(rows[paths[0]]["regions"])["top"] == pytest.approx(7)
    for path, message in zip(paths[1:4], ("truncated", "is empty", "not an image"), strict=True):
        assert message in rows[path]["error"]
        assert rows[path]["count"] is None


def test_paths_alone(tiny_model: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecount.ray import Counter

    monkeypatch.chdir(files[1].parent)
    urls = [f"file://{files[0]}", files[1].name, str(files[2]), str(files[3]), "gone.png"]
    rows = by_source(Counter(tiny_model)({"path": [name.encode() for name in urls]}))
    assert rows[urls[0]]["count"] == pytest.approx(7)
    messages = ("truncated", "is empty", "not an image", "no such file")
    for name, message in zip(urls[1:], messages, strict=True):
        assert message in rows[name]["error"]


def test_pixels(tiny_model: Path, crowd: Path) -> None:
    from edgecount.ray import Counter

    picture = cv2.imread(str(crowd / "7.png"))
    pictures = np.empty(4, object)
    pictures[0] = picture[:, :, ::-1]
    pictures[1] = np.dstack([picture, np.zeros((64, 64), np.uint8)])
    pictures[2] = picture[:, :, 0]
    pictures[3] = picture / 255
    rows = by_source(Counter(tiny_model)({"path": list("abcd"), "image": pictures}))
    assert [rows[name]["count"] for name in "abc"] == pytest.approx([7, 7, 7])
    assert "expected a uint8 array" in rows["d"]["error"]


def test_rgb_is_not_bgr(crowd: Path) -> None:
    from edgecount.ray._images import BatchImages

    picture = np.zeros((2, 2, 3), np.uint8)
    picture[:, :, 0] = 255
    images = BatchImages(["red"], picture[None])
    assert np.asarray(images.read("0"))[0, 0].tolist() == [0, 0, 255]


def test_one_path_for_several_images(tiny_model: Path, crowd: Path) -> None:
    from edgecount.ray import Counter

    contents = [(crowd / f"{number}.png").read_bytes() for number in (5, 7)]
    table = Counter(tiny_model)({"path": ["a", "a"], "bytes": contents})
    assert sorted(row["count"] for row in table.to_pylist()) == pytest.approx([5, 7])


def test_damaged_and_large_images(tiny_model: Path, files: list[Path]) -> None:
    from edgecount.ray import Counter

    done, jpeg = cv2.imencode(".jpg", np.full((64, 64, 3), 200, np.uint8))
    assert done
    batch = {"path": ["cut", "whole"], "bytes": [bytes(jpeg)[:-20], files[0].read_bytes()]}
    rows = by_source(Counter(tiny_model, accept_damaged=True, max_pixels=64 * 64)(batch))
    assert rows["cut"]["count"] is not None
    rows = by_source(Counter(tiny_model, max_pixels=64 * 63)(batch))
    assert "truncated" in rows["cut"]["error"] or "pixels" in rows["cut"]["error"]
    assert "pixels" in rows["whole"]["error"]


def test_other_columns(tiny_model: Path) -> None:
    from edgecount.ray import Counter

    with pytest.raises(ConfigError, match="expected a batch with the columns path and bytes"):
        Counter(tiny_model)({"image": np.zeros((1, 8, 8, 3), np.uint8)})
    with pytest.raises(ConfigError, match="got no column"):
        Counter(tiny_model)({})


def test_rows_without_an_image(tiny_model: Path) -> None:
    from edgecount.ray import Counter

    rows = by_source(Counter(tiny_model)({"path": ["a"], "bytes": np.array([None], object)}))
    assert "there is no image in this row" in rows["a"]["error"]
    values = np.array([float("nan"), {"bytes": b"x"}, 10**10, "text", [1]], object)
    rows = by_source(Counter(tiny_model)({"path": [*"abcde"], "bytes": values}))
    assert "there is no image" in rows["a"]["error"]
    for name, kind in zip("bcde", ("dict", "int", "str", "list"), strict=True):
        assert f"{name}: expected the content of a file in bytes" in rows[name]["error"]
        assert rows[name]["error"].endswith(f"a value of type {kind}")


def test_rows_without_a_path(tiny_model: Path, crowd: Path) -> None:
    from edgecount.ray import Counter

    path = crowd / "7.png"
    counter = Counter(tiny_model)
    rows = by_source(counter({"path": [str(path), None]}))
    assert rows[str(path)]["count"] == pytest.approx(7)
    assert rows[""]["error"] == "there is no path in this row"
    contents = np.array([path.read_bytes()] * 2, object)
    rows = by_source(counter({"path": [float("nan"), "a"], "bytes": contents}))
    assert rows[""]["count"] == rows["a"]["count"] == pytest.approx(7)
    with pytest.raises(ConfigError, match=r"path: expected paths or URLs .* of type int"):
        counter({"path": [5]})


def test_every_format_of_batches_gives_the_same_rows(tiny_model: Path, crowd: Path) -> None:
    import pandas as pd
    import pyarrow as pa

    from edgecount.ray import Counter

    counter = Counter(tiny_model)
    names = ["7", "9", "11"]
    columns = {"path": names, "bytes": [(crowd / f"{name}.png").read_bytes() for name in names]}
    frame = pd.DataFrame(columns)
    for batch in (
        columns,
        {name: np.array(values, object) for name, values in columns.items()},
        pa.table(columns),
        frame,
        frame.sort_values("path", ascending=False),
        frame.set_index(pd.Index([9, 4, 4])),
    ):
        rows = by_source(counter(batch))
        assert [rows[name]["count"] for name in names] == pytest.approx([7, 9, 11])


def test_a_store_that_goes_away_ends_the_job(tiny_model: Path, crowd: Path) -> None:
    from edgecount.ray._counter import Counter
    from edgecount.ray._images import GivenImages, StoredImages

    gone = f"file://{crowd}/gone"
    counter = Counter(tiny_model, images=StoredImages(GivenImages(), folder=gone))
    with pytest.raises(SourceError, match=r"the folder file://.*/gone went away"):
        counter({"path": [f"{gone}/0.png"]})


def test_a_fake_backend_goes_to_an_actor() -> None:
    from edgecount import FakeBackend

    there = pickle.loads(pickle.dumps(FakeBackend([(8, 8), (40, 40)])))  # noqa: S301
    with EdgeCounter(backend=there) as counter:
        assert counter.count(np.zeros((64, 64, 3), np.uint8)).count == pytest.approx(2)
