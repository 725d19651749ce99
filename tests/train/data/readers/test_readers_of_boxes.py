"""Sets that annotate boxes, each in its true layout, and the layouts of one's own images."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from edgecount.errors import SourceError
from edgecount.train.data.readers import read_samples, read_set


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((50, 200, 3), np.uint8))


def voc(*objects):
    sides = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{side}>{n}</{side}>" for side, n in zip(sides, box, strict=False))
        + "</bndbox></object>"
        for name, *box in objects
    )
    return f"<annotation>{inner}</annotation>"


def test_voc_boxes_give_centres_and_sizes(tmp_path):
    touch(tmp_path / "Annotations" / "a.xml", voc(("head", 10, 20, 19, 24)))
    (sample,) = read_samples("voc", tmp_path)
    assert sample.points.tolist() == [[14.5, 22.0]]
    assert sample.sizes.tolist() == [6.0]
    assert sample.boxes.tolist() == [[10, 20, 19, 24]]
    assert sample.path == tmp_path / "JPEGImages" / "a.jpg"


def test_voc_counts_one_class_over_the_whole_set(tmp_path):
    both = voc(("person", 0, 0, 40, 90), ("head", 10, 0, 20, 10), ("dog", 0, 0, 9, 9))
    touch(tmp_path / "Annotations" / "a.xml", both)
    touch(tmp_path / "Annotations" / "b.xml", voc(("person", 0, 0, 40, 90), ("dog", 0, 0, 9, 9)))
    touch(tmp_path / "Annotations" / "c.xml", voc())
    touch(tmp_path / "JPEGImages" / "b.png")
    first, second, third = read_samples("voc", tmp_path)
    assert first.points.tolist() == [[15, 5]]
    assert second.points.tolist() == []
    assert second.path.name == "b.png"
    assert third.boxes.shape == (0, 4)
    touch(tmp_path / "Annotations" / "d.xml", voc(("head", 1, 2, 3)))
    with pytest.raises(SourceError, match=r"d\.xml: expected boxes of four finite sides"):
        read_samples("voc", tmp_path)


def test_voc_two_annotations_of_one_picture_are_an_error(tmp_path):
    touch(tmp_path / "a.jpg")
    for name in ("1.xml", "2.xml"):
        text = voc(("head", 10, 20, 19, 24)).replace(
            "<object>", "<filename>a.jpg</filename><object>"
        )
        touch(tmp_path / name, text)
    with pytest.raises(SourceError, match=r"two annotations are of the picture .*a\.jpg"):
        read_samples("voc", tmp_path)


@pytest.mark.parametrize("text", ["<html/>", '<annotation xmlns="https://x"/>'])
def test_voc_other_documents_are_no_empty_pictures(tmp_path, text):
    touch(tmp_path / "a.jpg")
    touch(tmp_path / "a.xml", text)
    with pytest.raises(SourceError, match=r"a\.xml: expected the element annotation"):
        read_samples("voc", tmp_path)


def test_scut_head_reads_its_lists_of_both_parts(tmp_path):
    for part in "AB":
        root = tmp_path / f"SCUT_HEAD_Part_{part}"
        for number in range(3):
            name = f"Part{part}_0000{number}"
            touch(root / "Annotations" / f"{name}.xml", voc(("person", 0, 0, 4, 4)))
        listed = f"Part{part}_00000\nPart{part}_00002\n"
        touch(root / "ImageSets" / "Main" / "trainval.txt", listed)
        touch(root / "ImageSets" / "Main" / "test.txt", f"Part{part}_00001\n")
    names = [sample.name for sample in read_samples("scut_head", tmp_path)]
    assert names == ["PartA_00000", "PartA_00002", "PartB_00000", "PartB_00002"]
    part = tmp_path / "SCUT_HEAD_Part_B"
    assert len(read_samples("scut_head", part)) == 2
    (test,) = read_samples("scut_head", part / "ImageSets" / "Main" / "test.txt")
    assert test.name == "PartB_00001"
    (part / "Annotations" / "PartB_00001.xml").unlink()
    with pytest.raises(SourceError, match=r"PartB_00001\.jpg has no annotation"):
        read_samples("scut_head", part / "ImageSets" / "Main" / "test.txt")


def test_jhu_crowd(tmp_path):
    for part in ("train", "val"):
        touch(tmp_path / part / "images" / "0001.jpg")
        touch(tmp_path / part / "images" / "0002.jpg")
        touch(tmp_path / part / "gt" / "0001.txt", "100 50 20 30 1 0\n7 9 4 4 2 1\n")
        touch(tmp_path / part / "gt" / "0002.txt")
    crowd, nobody = read_samples("jhu_crowd", tmp_path)
    assert crowd.path == tmp_path / "train" / "images" / "0001.jpg"
    assert crowd.points.tolist() == [[100, 50], [7, 9]]
    assert crowd.boxes.tolist() == [[90, 35, 110, 65], [5, 7, 9, 11]]
    assert nobody.points.shape == (0, 2)
    touch(tmp_path / "val" / "gt" / "0002.txt", "\n1 2 x 4\n")
    with pytest.raises(SourceError, match=r"0002\.txt, line 2: .*'x'"):
        read_samples("jhu_crowd", tmp_path / "val")
    touch(tmp_path / "val" / "gt" / "0002.txt", "1 2 3\n")
    with pytest.raises(SourceError, match=r"0002\.txt, line 1: expected 4 numbers, got 3"):
        read_samples("jhu_crowd", tmp_path / "val")


@pytest.mark.parametrize("reader", ["crohd", "gta_head", "mot"])
def test_sequences_give_flagged_boxes_by_frame(tmp_path, reader):
    sequence = tmp_path / "train" / "HT21-01"
    for number in (1, 2, 3):
        touch(sequence / "img1" / f"{number:06d}.jpg")
    touch(
        sequence / "gt" / "gt.txt",
        "1,1,11,21,10,20,1,1,1.0\n3,1,12,21,10,20,1,1,0.5\n1,2,51,61,4,4,1,1,1\n1,3,1,1,9,9,0,3,1\n",
    )
    touch(tmp_path / "test" / "HT21-11" / "img1" / "000001.jpg")
    first, second, third = read_samples(reader, tmp_path)
    assert first.name == "HT21-01_000001"
    # Pixels from 1 become edges from 0; the box whose flag is 0 is left out.
    assert first.boxes.tolist() == [[10, 20, 20, 40], [50, 60, 54, 64]]
    assert first.points.tolist() == [[15, 30], [52, 62]]
    assert len(second.points) == 0
    assert third.boxes.tolist() == [[11, 20, 21, 40]]
    for folder in (tmp_path / "train", sequence):
        assert len(read_samples(reader, folder)) == 3
    with pytest.raises(SourceError, match=r"no annotation: expected .*gt\.txt"):
        read_samples(reader, tmp_path / "test")
    touch(sequence / "gt" / "gt.txt", "9,1,11,21,10,20,1,1,1.0\n")
    with pytest.raises(SourceError, match=r"annotates frame 9, which .*img1 lacks"):
        read_samples(reader, tmp_path)


def test_sequences_of_several_classes_give_heads(tmp_path):
    """As CVAT exports them: every box has the flag 1, and labels.txt names the classes."""
    write_image(tmp_path / "img1" / "000001.jpg")
    rows = ["1,1,11,21,10,20,1,1,1.0", "1,2,51,21,10,20,1,2,1.0", "1,3,81,21,10,20,1,2,1.0"]
    touch(tmp_path / "gt" / "gt.txt", "\n".join(rows))
    samples, reading = read_set("mot", tmp_path)
    assert len(samples[0].points) == 3
    assert dict(reading.notes) == {"boxes of several classes, which nothing names, all counted": 3}
    touch(tmp_path / "gt" / "labels.txt", "Car\nhead\n")
    samples, reading = read_set("mot", tmp_path)
    assert samples[0].points.tolist() == [[55, 30], [85, 30]]
    assert dict(reading.left_out) == {"boxes of other classes than head": 1}
    touch(tmp_path / "gt" / "labels.txt", "car\ndog\n")
    with pytest.raises(SourceError, match=r"labels\.txt: expected a class head or person"):
        read_set("mot", tmp_path)
    touch(tmp_path / "gt" / "labels.txt", "face\n")
    assert len(read_samples("mot", tmp_path)[0].points) == 3


def coco(**changes):
    return {
        "images": [
            {"id": 7, "file_name": "b.jpg"},
            {"id": 5, "file_name": "a.jpg"},
        ],
        "annotations": [
            {"image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40], "iscrowd": 0},
            {"image_id": 7, "category_id": 2, "bbox": [0, 0, 9, 9]},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 200, 200], "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "Person"}, {"id": 2, "name": "dog"}],
        **changes,
    }


def test_coco_counts_persons(tmp_path):
    annotation = touch(tmp_path / "annotations" / "instances_val2017.json", json.dumps(coco()))
    touch(tmp_path / "val2017" / "a.jpg")
    touch(tmp_path / "val2017" / "b.jpg")
    for root in (tmp_path, annotation):
        empty, one = read_samples("coco", root)
        assert empty.path == tmp_path / "val2017" / "a.jpg"
        assert empty.boxes.shape == (0, 4)
        assert one.boxes.tolist() == [[10, 20, 40, 60]]
        assert one.points.tolist() == [[25, 40]]


def test_coco_of_other_things_asks_which(tmp_path):
    names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    touch(tmp_path / "a.json", json.dumps(coco(categories=names)))
    with pytest.raises(SourceError, match=r"a\.json: expected a category head or person.*cat, dog"):
        read_samples("coco", tmp_path)
    touch(tmp_path / "a.json", json.dumps({"images": []}))
    with pytest.raises(SourceError, match=r"a\.json lacks the field 'annotations'"):
        read_samples("coco", tmp_path)
    touch(tmp_path / "b.json", "{}")
    with pytest.raises(SourceError, match=r"got a\.json, b\.json: name the file itself"):
        read_samples("coco", tmp_path)


@pytest.mark.parametrize("folders", [("images", "labels"), ("", "")])
def test_yolo_shares_become_pixels(tmp_path, folders):
    images, labels = (tmp_path / folder / "train" for folder in folders)
    images.mkdir(parents=True)
    for name in ("a.png", "b.jpg"):
        write_image(images / name)
    touch(labels / "a.txt", "0 0.5 0.4 0.1 0.2\n")
    one, nobody = read_samples("yolo", tmp_path)
    assert one.points.tolist() == [[100, 20]]
    assert one.boxes.tolist() == [[90, 15, 110, 25]]
    assert len(nobody.points) == 0
    touch(labels / "b.txt", "0 100 20 10 10\n")
    with pytest.raises(SourceError, match=r"b\.txt: expected shares.*got pixels"):
        read_samples("yolo", tmp_path)


def test_yolo_says_that_it_reads_all_parts_of_a_split_set(tmp_path):
    for part in ("train", "valid", "test"):
        write_image(tmp_path / part / "images" / f"{part}.png")
        touch(tmp_path / part / "labels" / f"{part}.txt", "0 0.5 0.5 0.1 0.1\n")
    samples, reading = read_set("yolo", tmp_path)
    what = "images of train, valid, test, all read as one set: expected a part's folder"
    assert len(samples) == 3
    assert reading.notes == {what: 3}
    assert not read_set("yolo", tmp_path / "train")[1].notes


@pytest.mark.parametrize("box", ["30 20 -10 8", "20 28 10 -8", "30 28 -10 -8", "20 20 10 8"])
def test_boxes_with_swapped_corners_keep_place_and_size(tmp_path, box):
    write_image(tmp_path / "img1" / "1.jpg")
    left, top, width, height = box.split()
    touch(tmp_path / "gt" / "gt.txt", f"1,1,{left},{top},{width},{height},1,1,1")
    (sample,) = read_samples("mot", tmp_path)
    assert sample.boxes.tolist() == [[19, 19, 29, 27]]  # MOT counts from 1
    assert sample.points.tolist() == [[24, 23]]
    assert sample.sizes.tolist() == pytest.approx([80**0.5])


@pytest.mark.parametrize(
    ("reader", "folder", "row"),
    [("yolo", "labels", "0 0.5 0.5 0.1 0.1"), ("jhu_crowd", "gt", "9 9 4 4 1 0")],
)
def test_two_pictures_of_one_annotation_are_noted(tmp_path, reader, folder, row):
    for name in ("a.jpg", "a.png", "b.png"):
        write_image(tmp_path / "images" / name)
    for name in ("a", "b"):
        touch(tmp_path / folder / f"{name}.txt", f"{row}\n")
    samples, reading = read_set(reader, tmp_path)
    assert len(samples) == 3
    assert reading.notes == {"pictures that share their annotation with another": 1}


def test_yolo_without_any_label_is_an_error(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(SourceError, match=r"a\.png has no annotation.*a\.txt"):
        read_samples("yolo", tmp_path)


@pytest.mark.parametrize("header", ["", "image,x,y\n", "\ufeffimage,x,y\n"])
def test_csv_points(tmp_path, header):
    text = f"{header}b/2.jpg,10,20\nb/2.jpg,30.5,40\n1.jpg,,\n"
    touch(tmp_path / "heads.csv", text)
    nobody, two = read_samples("csv", tmp_path)
    assert (nobody.path, len(nobody.points)) == (tmp_path / "1.jpg", 0)
    assert two.path == tmp_path / "b" / "2.jpg"
    assert two.points.tolist() == [[10, 20], [30.5, 40]]
    assert two.boxes is None


def test_csv_boxes_in_any_order_of_columns(tmp_path):
    path = touch(tmp_path / "heads.csv", "y,x,note,w,h,image\n20,10,tall,4,8,a.jpg\n")
    (sample,) = read_samples("csv", path)
    assert sample.points.tolist() == [[10, 20]]
    assert sample.boxes.tolist() == [[8, 16, 12, 24]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg,1,2\na.jpg,x,2\n", "line 2: .*'x'"),
        ("a.jpg,1\n", "line 1: expected image,x,y"),
        ("a.jpg,1,2\na.jpg,1,2,3,4\n", r"some rows of a\.jpg"),
        ("a.jpg,nan,2,3,4\n", "line 1: expected finite coordinates, got .'nan', '2', '3', '4'"),
        ("a.jpg,1,2\na.jpg,inf,2\n", "line 2: expected finite"),
        ("image,x,y\na.jpg,1,2\na.jpg,1e400,2\n", "line 3: expected finite"),
        ("image,x1,y1,x2,y2\na.jpg,1,nan,3,4\n", "line 2: expected finite"),
    ],
)
def test_csv_mistakes_name_the_file_and_the_line(tmp_path, text, message):
    touch(tmp_path / "heads.csv", text)
    with pytest.raises(SourceError, match=rf"heads\.csv: .*{message}"):
        read_samples("csv", tmp_path)
