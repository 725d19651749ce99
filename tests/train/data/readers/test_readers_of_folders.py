"""Folders with tables of images, points and boxes, and folders without people."""

import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount.errors import SourceError
from edgecount.train.data.readers import read_samples

IMAGES = "image,width,height,count,scene\na.jpg,64,48,2,street\nb.jpg,64,48,0,yard\n"
POINTS = "image,x,y\na.jpg,10.0,20.5\na.jpg,30,40\n"
HEADS = "image,x1,y1,x2,y2\na.jpg,6,16.5,14,24.5\na.jpg,27,36,33,44\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images.csv").write_text(IMAGES)
    (tmp_path / "points.csv").write_text(POINTS)
    return tmp_path


def test_images_without_people_are_read_too(folder):
    first, second = read_samples("csv_folder", folder)
    assert first.path == folder / "images" / "a.jpg"
    assert first.points.tolist() == [[10.0, 20.5], [30.0, 40.0]]
    assert first.boxes is None
    assert second.name == "b"
    assert second.points.shape == (0, 2)


def test_a_table_of_points_may_have_its_heading_alone(folder):
    (folder / "points.csv").write_text("image,x,y\n")
    assert [len(sample.points) for sample in read_samples("csv_folder", folder)] == [0, 0]


def test_boxes_of_heads_give_their_sizes(folder):
    (folder / "boxes.csv").write_text(HEADS)
    first, second = read_samples("csv_folder", folder)
    assert first.boxes.tolist() == [[6, 16.5, 14, 24.5], [27, 36, 33, 44]]
    assert first.sizes == pytest.approx([8.0, np.sqrt(48.0)])
    assert second.boxes is None


@pytest.mark.parametrize(
    "bodies", [HEADS.replace("24.5", "90"), HEADS[: HEADS.rindex("a.jpg")]], ids=["tall", "fewer"]
)
def test_boxes_of_bodies_are_left(folder, bodies):
    (folder / "boxes.csv").write_text(bodies)
    assert read_samples("csv_folder", folder)[0].boxes is None


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("images", "name\na.jpg\n", r"images\.csv: expected the columns image, got name"),
        ("points", "image,x\na.jpg,1\n", r"points\.csv: expected the columns image, x, y"),
        ("points", "image,x,y\na.jpg,1,two\n", r"points\.csv, line 2: expected numbers x, y"),
        ("points", "image,x,y\na.jpg,1,nan\n", r"points\.csv, line 2: expected finite coordinates"),
        (
            "points",
            "image,x,y\na.jpg,1,1e99\n",
            r"points\.csv, line 2: expected pixels of an image",
        ),
        ("points", "image,x,y\nc.jpg,1,2\n", r"points\.csv names 'c\.jpg', which images\.csv"),
    ],
)
def test_a_wrong_table_is_named(folder, table, text, message):
    (folder / f"{table}.csv").write_text(text)
    with pytest.raises(SourceError, match=message):
        read_samples("csv_folder", folder)


def test_a_missing_table_is_named(folder):
    (folder / "points.csv").unlink()
    with pytest.raises(SourceError, match=r"expected points\.csv with the columns image, x, y"):
        read_samples("csv_folder", folder)


def test_a_folder_without_people(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("b.png", "a.jpg", "notes.txt", "images/c.jpg"):
        (tmp_path / name).touch()
    samples = read_samples("empty", tmp_path)
    assert [sample.name for sample in samples] == ["a", "b", "c"]
    assert all(sample.points.shape == (0, 2) for sample in samples)
