"""COCO documents as tools write them."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount.errors import SourceError
from edgecount.train.data.assemble import fitted
from edgecount.train.data.readers import read_samples, read_set


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cam").mkdir()
    for name in ("0.JPG", "1.JPG"):
        cv2.imwrite(str(tmp_path / "cam" / name), np.zeros((48, 64, 3), np.uint8))
    return tmp_path


def write(folder, *, image=None, annotation=None, **more):
    first = {"id": 1, "file_name": "cam/0.jpg", **(image or {})}
    head = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [8, 16, 4, 8], **(annotation or {})}
    contents = {
        "images": [first, {"id": 2, "file_name": "cam/1.JPG", "width": 64, "height": 48}],
        "annotations": [head],
        "categories": [{"id": 1, "name": "head"}],
        **more,
    }
    (folder / "a.JSON").write_text(json.dumps(contents), encoding="utf-8-sig")
    return folder


@pytest.mark.parametrize(
    ("image", "annotation"),
    [
        ({}, {}),
        ({}, {"image_id": "1", "category_id": "1"}),
        ({"id": "1"}, {"image_id": 1.0}),
        ({"file_name": "cam\\0.jpg"}, {}),
        ({"file_name": "C:\\mine\\cam\\0.jpg"}, {}),
        ({"file_name": "/home/else/cam/0.jpg"}, {"bbox": ["8", "16", "4", "8"]}),
        ({"width": "64", "height": 48.0}, {"iscrowd": "0"}),
        ({"width": 0, "height": None}, {}),
    ],
)
def test_ids_names_and_numbers_in_other_forms(folder, image, annotation):
    one, nobody = read_samples("coco", write(folder, image=image, annotation=annotation))
    assert one.path == folder / "cam" / "0.JPG"
    assert one.boxes.tolist() == [[8, 16, 12, 24]]
    assert one.image().shape == (48, 64, 3)
    assert not len(nobody.points)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotation": {"image_id": 101}}, "1 annotations are of images.*image_id 101"),
        ({"annotation": {"bbox": [1, 2, 3]}}, r"annotations\[0\]: bbox: expected x, y, width"),
        ({"annotation": {"bbox": [1, 2, -3, 4]}}, "width and a height of 0 or more"),
        (
            {"annotation": {"bbox": [1, float("nan"), 3, 4]}},
            r"annotations\[0\]: bbox: expected finite",
        ),
        ({"annotation": {"image_id": None}}, "expected a number or a text as id, got None"),
        ({"image": {"id": 2}}, r"cam/0\.jpg and cam/1\.JPG have one id, 2"),
        ({"image": {"file_name": "cam/1.jpg"}}, "the images 1 and 2 are the same file"),
        ({"annotations": {}}, "annotations: expected a list of objects"),
    ],
)
def test_what_does_not_fit_together_is_refused(folder, changes, message):
    with pytest.raises(SourceError, match=rf"a\.JSON: .*{message}"):
        read_samples("coco", write(folder, **changes))


def test_an_image_of_another_size_is_never_trained_on(folder):
    size = {"width": 32, "height": 24}
    sample, _ = read_samples("coco", write(folder, image=size))
    for read in (sample.image, lambda: fitted(sample)):
        with pytest.raises(SourceError, match=r"a\.JSON says 32x24, the image is 64x48"):
            read()
    sample, _ = read_samples("coco", write(folder, image={"width": 48, "height": 64}))
    with pytest.raises(SourceError, match="the image is 64x48 as it is read, upright"):
        sample.image()


def test_what_is_left_out_is_counted(folder):
    names = [{"id": 1, "name": "head"}, {"id": 2, "name": "dog"}]
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 16, 4, 8]},
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 16, 9, 9], "iscrowd": 1},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [8, 16, 4, 8]},
    ]
    _, reading = read_set("coco", write(folder, annotations=annotations, categories=names))
    assert reading.counted == {"head": 1}
    assert reading.left_out == {
        "boxes of whole crowds (iscrowd)": 1,
        "annotations of category dog": 1,
    }
    assert reading.notes == {"annotations with the id of another, all counted": 1}


def test_a_key_given_twice_is_an_error(folder):
    write(folder)
    path = folder / "a.JSON"
    path.write_text(path.read_text(encoding="utf-8-sig")[:-1] + ', "annotations": []}')
    with pytest.raises(SourceError, match="the key 'annotations' is given twice"):
        read_samples("coco", folder)
