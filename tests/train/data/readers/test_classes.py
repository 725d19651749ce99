"""Which of several classes counts: the names decide, not what occurs in a part of a set."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("yaml")

from edgecount.train.data.readers import read_set
from edgecount.train.data.readers.classes import counted_class, counted_of_named, note_on_single

ALL_CARS = "annotations, all of class car, which counts as people"


def test_named_classes_decide_before_those_that_occur():
    assert counted_of_named({"person", "car"}, {"car"}) == "person"
    assert counted_of_named({"head", "person"}, {"person"}) == "head"
    assert counted_of_named({"face", "car"}, {"car"}) is None  # the only one that occurs
    assert counted_of_named((), {"person", "car"}) == "person"
    assert counted_class({"car"}) is None


@pytest.mark.parametrize(
    ("counted", "note"),
    [
        ({"car": 3}, ALL_CARS),
        ({"head": 3}, ""),
        ({"people": 3}, ""),
        ({"0": 3}, ""),  # a class without a name
        ({"no name": 3}, ""),
        ({"car": 3, "none": 1}, ""),
        ({}, ""),
    ],
)
def test_a_single_class_that_is_nobody_by_name_is_noted(counted, note):
    assert note_on_single(counted) == note


@pytest.fixture
def street(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "night.jpg"), np.zeros((48, 64, 3), np.uint8))
    return tmp_path


def coco(street, categories, annotated):
    document = {
        "images": [{"id": 1, "file_name": "night.jpg"}],
        "annotations": [
            {"image_id": 1, "category_id": number, "bbox": [10, 10, 8, 8]} for number in annotated
        ],
        "categories": [
            {"id": number, "name": name, "supercategory": group}
            for number, (name, group) in enumerate(categories)
        ],
    }
    (street / "instances.json").write_text(json.dumps(document))
    (sample,), reading = read_set("coco", street)
    return len(sample.points), reading


def test_coco_of_cars_alone_shows_nobody(street):
    people, reading = coco(street, [("person", ""), ("car", "")], [1, 1])
    assert people == 0
    assert not reading.counted
    assert dict(reading.left_out) == {"annotations of category car": 2}
    assert [*reading.notes.values()] == [2]
    assert "none of them of the class that counts" in next(iter(reading.notes))
    people, reading = coco(street, [("car", "")], [0])  # a set of nothing else
    assert (people, dict(reading.counted)) == (1, {"car": 1})
    assert dict(reading.notes) == {ALL_CARS: 1}


def test_a_person_above_riders_is_a_class(street):
    categories = [("person", "person"), ("rider", "person"), ("car", "vehicle")]
    people, reading = coco(street, categories, [2])
    assert (people, dict(reading.counted)) == (0, {})
    categories = [("person", "human"), ("rider", "person"), ("car", "vehicle")]
    assert coco(street, categories, [2])[0] == 0
    # A project of Roboflow that is called like one of its classes, which comes first or last.
    for order in (1, -1):
        categories = [("person", "none"), ("person", "person"), ("rider", "person")][::order]
        assert coco(street, [*categories, ("car", "none")], [3])[0] == 0


def test_a_category_above_others_is_no_class(street):
    categories = [("head", "none"), ("person", "head")]  # as Roboflow lists a group
    assert coco(street, categories, [1])[0] == 1
    assert coco(street, [("head", "none"), ("person", "none")], [1])[0] == 0


@pytest.mark.parametrize(("names", "people"), [("person, car", 0), ("head, person", 1)])
def test_yolo_names_decide(street, names, people):
    (street / "data.yaml").write_text(f"names: [{names}]\n")
    kind = 1 if people == 0 else 0
    (street / "labels" / "night.txt").write_text(f"{kind} 0.5 0.5 0.1 0.1\n")
    (sample,), reading = read_set("yolo", street)
    assert len(sample.points) == people
    assert bool(reading.notes) == (not people)


def test_yolo_bodies_are_no_heads_in_any_part(street):
    (street / "data.yaml").write_text("names: [head, person]\n")
    (street / "labels" / "night.txt").write_text("1 0.5 0.5 0.1 0.1\n1 0.2 0.5 0.1 0.1\n")
    (sample,), reading = read_set("yolo", street)
    assert len(sample.points) == 0
    assert dict(reading.left_out) == {"heads of class person": 2}


def test_cars_alone_are_noted_whatever_the_format(street):
    (street / "data.yaml").write_text("names: [car]\n")
    (street / "labels" / "night.txt").write_text("0 0.5 0.5 0.1 0.1\n0 0.2 0.5 0.1 0.1\n")
    assert dict(read_set("yolo", street)[1].notes) == {ALL_CARS: 2}
    rows = "image,x,y,class\nnight.jpg,10,10,{0}\nnight.jpg,20,10,{0}\n"
    for name, notes in (("Car", {ALL_CARS: 2}), ("person", {})):
        (street / "images" / "heads.csv").write_text(rows.format(name))
        assert dict(read_set("csv", street / "images")[1].notes) == notes
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    (street / "Annotations").mkdir()
    (street / "Annotations" / "night.xml").write_text(
        f"<annotation><object><name>car</name>{box}</object></annotation>"
    )
    assert dict(read_set("voc", street)[1].notes) == {ALL_CARS: 1}
