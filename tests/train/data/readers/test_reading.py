"""Files whatever their spelling, and pictures that nobody annotated."""

import logging
import os

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount.errors import SourceError
from edgecount.train.data.check import check_samples
from edgecount.train.data.readers import read_samples, read_set

VOC = (
    "<annotation><filename>{}</filename>{}<object><name>head</name><bndbox><xmin> 8.0 </xmin>"
    "<ymin>16</ymin><xmax>12</xmax><ymax>24.0</ymax></bndbox></object></annotation>"
)


def paint(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8))
    return path


@pytest.mark.parametrize("image", ["0.JPG", "0.jpeg", "0.Png", "other.jpg"])
def test_images_are_found_in_any_case(tmp_path, image):
    paint(tmp_path / "JPEGImages" / image)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "0.XML").write_text(VOC.format("Other.JPG", ""))
    (sample,) = read_samples("voc", tmp_path)
    assert sample.path.name == image
    assert sample.boxes.tolist() == [[8, 16, 12, 24]]


def test_voc_sizes_and_turned_boxes(tmp_path):
    paint(tmp_path / "0.jpg")
    size = "<size><width>{}</width><height>48</height></size>"
    path = tmp_path / "0.xml"
    path.write_text(VOC.format("", size.format(0)))
    assert read_samples("voc", tmp_path)[0].image().shape == (48, 64, 3)
    path.write_text(VOC.format("", size.format(60)))
    with pytest.raises(SourceError, match=r"0\.xml says 60x48, the image is 64x48"):
        read_samples("voc", tmp_path)[0].image()
    path.write_text(VOC.format("", "").replace("8.0", "80"))
    with pytest.raises(SourceError, match=r"0\.xml: expected xmin <= xmax"):
        read_samples("voc", tmp_path)


def test_pictures_without_a_row_are_told_and_taken_as_asked(tmp_path, caplog):
    for name in ("0.jpg", "1.jpg", "2.jpg"):
        paint(tmp_path / name)
    (tmp_path / "h.csv").write_text("1.jpg,1,2\n")
    with caplog.at_level(logging.WARNING, "edgecount"):
        assert len(read_samples("csv", tmp_path)) == 1
    assert "csv: 2 pictures without an annotation are left out, first" in caplog.text
    caplog.clear()
    assert len(read_samples("csv", tmp_path, unannotated="skip")) == 1
    empty, one, last = read_samples("csv", tmp_path, unannotated="empty")
    assert [len(sample.points) for sample in (empty, one, last)] == [0, 1, 0]
    assert not caplog.text
    with pytest.raises(SourceError, match=r"0\.jpg has no annotation: .*nor have 1 others"):
        read_samples("csv", tmp_path, unannotated="error")


def test_a_set_with_a_file_for_each_picture_can_lack_some(shanghaitech):
    (shanghaitech / "ground_truth" / "GT_IMG_2.mat").unlink()
    with pytest.raises(SourceError, match=r"IMG_2\.jpg has no annotation.*unannotated=skip"):
        read_samples("shanghaitech", shanghaitech)
    samples = read_samples("shanghaitech", shanghaitech, unannotated="skip")
    assert [sample.name for sample in samples] == ["IMG_1"]
    samples = read_samples("shanghaitech", shanghaitech, unannotated="empty")
    assert [len(sample.points) for sample in samples] == [5, 0]


def test_frames_go_by_their_numbers(tmp_path):
    for number in (1, 2, 10):
        paint(tmp_path / "cam" / "img1" / f"{number}.jpg")
    (tmp_path / "cam" / "gt").mkdir()
    (tmp_path / "cam" / "gt" / "gt.txt").write_text(
        "".join(f"{frame},1,{frame},5,4,4,1\n" for frame in (2, 10, 10))
    )
    samples, reading = read_set("mot", tmp_path)
    people = {sample.name: len(sample.points) for sample in samples}
    assert people == {"cam_1": 0, "cam_2": 1, "cam_10": 2}
    assert [path.name for path in reading.unannotated] == ["1.jpg"]
    paint(tmp_path / "cam" / "img1" / "02.jpg")
    with pytest.raises(SourceError, match="are the same frame"):
        read_samples("mot", tmp_path)


@pytest.mark.parametrize(
    ("reader", "name"), [("csv", "h.csv"), ("coco", "a.json"), ("voc", "0.xml"), ("yolo", "0.txt")]
)
def test_no_reader_waits_for_a_writer(tmp_path, reader, name):
    paint(tmp_path / "0.jpg")
    os.mkfifo(tmp_path / name)
    with pytest.raises(SourceError):
        read_samples(reader, tmp_path)


def test_a_picture_that_is_no_file_is_left_out_and_told(tmp_path):
    paint(tmp_path / "0.jpg")
    os.mkfifo(tmp_path / "1.jpg")
    for name in ("0.txt", "1.txt"):
        (tmp_path / name).write_text("0 0.5 0.5 0.1 0.1\n")
    samples, reading = read_set("yolo", tmp_path)
    assert len(samples) == 1
    assert reading.left_out == {"names that are no regular files": 1}
    assert [path.name for path in reading.no_picture] == ["1.txt"]


def test_cells_and_structs_of_new_matlab_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    paint(tmp_path / "images" / "IMG_1.JPG")
    (tmp_path / "ground_truth").mkdir()
    path = tmp_path / "ground_truth" / "GT_IMG_1.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        struct = file.create_group("#refs#/a")
        struct["location"] = np.array([[10.0, 30.0], [20.0, 40.0]])
        struct["count"] = np.array([[2.0]])
        cell = file.create_dataset("image_info", (1, 1), dtype=h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_(b"cell")
        cell[0, 0] = struct.ref
    (sample,) = read_samples("shanghaitech", tmp_path)
    assert sample.points.tolist() == [[10, 20], [30, 40]]
    with h5py.File(path, "w", userblock_size=512) as file:
        circle = file.create_dataset("image_info", (1, 1), dtype=h5py.ref_dtype)
        circle[0, 0] = circle.ref
    with pytest.raises(SourceError, match=r"GT_IMG_1\.mat: .*nested more than.*-v7"):
        read_samples("shanghaitech", tmp_path)


def test_shares_in_place_of_pixels_are_refused(tmp_path):
    paint(tmp_path / "0.jpg")
    (tmp_path / "h.csv").write_text("0.jpg,0.5,0.25\n0.jpg,0.75,1\n")
    with pytest.raises(SourceError, match="in pixels, got numbers from 0 to 1 alone"):
        read_samples("csv", tmp_path)


def test_exchanged_rows_and_columns_are_refused(tmp_path):
    io = pytest.importorskip("scipy.io")
    paint(tmp_path / "1.jpg")
    for heads in (40, 5):
        io.savemat(tmp_path / "1_ann.mat", {"annPoints": np.ones((2, heads))})
        message = rf"1_ann\.mat: expected N x 2 numbers, got 2 x {heads}"
        with pytest.raises(SourceError, match=message):
            read_samples("ucf_cc_50", tmp_path)


def test_folders_are_found_in_any_case(tmp_path):
    paint(tmp_path / "jpegimages" / "0.jpg")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "0.xml").write_text(VOC.format("", ""))
    assert len(read_samples("voc", tmp_path)) == 1
    paint(tmp_path / "set" / "Images" / "0.jpg")
    (tmp_path / "set" / "Labels").mkdir()
    (tmp_path / "set" / "Labels" / "0.TXT").write_text("0 0.5 0.5 0.1 0.1\n")
    assert len(read_samples("yolo", tmp_path / "set")[0].points) == 1


def test_a_picture_that_cannot_be_a_file_is_told_with_the_others(tmp_path):
    paint(tmp_path / "0.jpg")
    os.mkfifo(tmp_path / "1.jpg")
    (tmp_path / "h.csv").write_text(f"0.jpg,9,9\n1.jpg,9,9\n{'a' * 300}.jpg,9,9\n")
    samples = read_samples("csv", tmp_path)
    found = check_samples(samples)
    assert set(found.odd["unreadable"]) == {"1", "a" * 300}
