"""Rows of YOLO's files by their kinds."""

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount.errors import SourceError
from edgecount.train.data.readers import read_samples, read_set

# A head of 20 x 10 px at (50, 20) in an image of 200 x 50 px, in every form.
BOX = "0 0.25 0.4 0.1 0.2"
FORMS = {
    "box": BOX,
    "confidence": f"{BOX} 0.9",
    "oriented box": "0 0.2 0.3 0.3 0.3 0.3 0.5 0.2 0.5",
    "triangle": "0 0.2 0.3 0.3 0.4 0.2 0.5",
    "polygon": "0 0.25 0.3 0.29 0.35 0.3 0.4 0.25 0.5 0.2 0.4",
    "commas": BOX.replace(" ", ", "),
    "mark": f"\ufeff{BOX}\r\n\r\n",
}


@pytest.fixture
def folder(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.jpg"), np.zeros((50, 200, 3), np.uint8))
    return tmp_path


def write(folder, text, name="a.txt"):
    (folder / "labels" / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_box(folder, form):
    (sample,), reading = read_set("yolo", write(folder, FORMS[form]))
    assert sample.boxes[0].tolist() == pytest.approx([40, 15, 60, 25], abs=1e-3)
    assert sample.points[0].tolist() == pytest.approx([50, 20], abs=1e-3)
    assert bool(reading.notes) == (form == "confidence")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0", "expected class, x, y, width and height, got 1 numbers"),
        (f"{BOX} 7", "expected a confidence from 0 to 1"),
        ("0 50 20 20 10", "got pixels"),
        ("0 50 20 60 20 60 30 40 30", "got pixels"),
        ("0 0.25 0.4 -0.1 0.2", "a width and a height of 0 or more"),
        ("head 0.25 0.4 0.1 0.2", "could not convert"),
        ("0 0.25 nan 0.1 0.2", "finite"),
        (f"{BOX} 0.25 0.38 2", "keypoints.*8 numbers"),
        (f"{BOX} 0.25 0.38 2 0.26 0.4 1", "keypoints.*0, 1 or 2"),
        ("0 0.85 0.8 0.03 0.05 0.85 0.79 0.86 0.81", "keypoints.*lies apart"),
        ("0 0.85 0.8 0.03 0.05 0.85 0.79 0 0 0 0 0.86 0.81", "keypoints.*lies apart"),
    ],
)
def test_other_rows_are_errors_that_name_file_and_line(folder, row, message):
    with pytest.raises(SourceError, match=rf"a\.txt: .*{message}.*in line 2"):
        read_samples("yolo", write(folder, f"{BOX}\n{row}\n"))


def test_keypoints_are_read_where_the_set_says_how_many(folder):
    write(folder, f"{BOX} 0.25 0.38 2\n{BOX}\n")
    (folder / "data.yaml").write_text("kpt_shape: [1, 3]\n")
    (sample,) = read_samples("yolo", folder)
    assert len(sample.points) == 2
    (folder / "data.yaml").write_text("kpt_shape: [2, 3]\n")
    with pytest.raises(SourceError, match=r"expected 11 numbers by data\.yaml.*got 8"):
        read_samples("yolo", folder)
    (folder / "data.yaml").write_text("kpt_shape: many\n")
    with pytest.raises(SourceError, match="kpt_shape: expected"):
        read_samples("yolo", folder)


@pytest.mark.parametrize(
    "names", ["[person, Head]", "{0: person, 1: head}", "{'0': person, '1': head}"]
)
def test_named_classes_count_heads_alone(folder, names):
    write(folder, f"{BOX}\n1{BOX[1:]}\n7{BOX[1:]}\n")
    (sample,), reading = read_set("yolo", folder)
    assert len(sample.points) == 3  # nobody says what they are
    assert reading.notes.total() == 3
    (folder / "data.yaml").write_text(f"names: {names}\n")
    (sample,), reading = read_set("yolo", folder)
    assert len(sample.points) == 1
    assert reading.counted == {"head": 1}
    assert reading.left_out == {"heads of class person": 1, "heads of class 7": 1}


@pytest.mark.parametrize("place", ["classes.txt", "labels/classes.txt", "obj.names"])
def test_lists_of_names_say_what_classes_are(folder, place):
    write(folder, f"{BOX}\n1{BOX[1:]}\n")
    (folder / place).write_text("car\nhead\n")
    (sample,), reading = read_set("yolo", folder)
    assert len(sample.points) == 1
    assert reading.left_out == {"heads of class car": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [car, bus]", "expected a class head or person, or a single one, got bus, car"),
        ("names: head", "names: expected a list of classes, got 'head'"),
        ("[head]", "expected keys and values"),
        ("names: [a", "while parsing"),
        ("names: [head]\nnames: [car]", "given twice"),
        ("names: " + "[" * 3000 + "]" * 3000, "nests deeper"),
    ],
)
def test_what_names_no_class_is_refused_in_one_line(folder, text, message):
    write(folder, f"{BOX}\n1{BOX[1:]}\n")
    (folder / "data.yaml").write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        read_samples("yolo", folder)
    assert "\n" not in str(caught.value)


def test_the_layouts_of_other_exports(folder):
    write(folder, BOX)
    (folder / "train").mkdir()
    for part in ("images", "labels"):
        (folder / part).rename(folder / "train" / part)
    for root in (folder, folder / "train", folder / "train" / "images"):
        (sample,) = read_samples("yolo", root)
        assert len(sample.points) == 1


def test_labels_without_a_picture_are_told(folder):
    write(folder, BOX)
    write(folder, BOX, "lost.txt")
    write(folder, "head\nperson\n", "classes.txt")
    _, reading = read_set("yolo", folder)
    assert [path.name for path in reading.no_picture] == ["lost.txt"]


def test_images_that_differ_in_case_have_their_own_labels(folder):
    write(folder, BOX)
    cv2.imwrite(str(folder / "images" / "A.jpg"), np.zeros((50, 200, 3), np.uint8))
    people = {sample.name: len(sample.points) for sample in read_samples("yolo", folder)}
    assert people == {"a": 1, "A": 0}
