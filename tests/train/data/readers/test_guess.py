"""Readers guessed by what lies in a folder."""

import pytest

pytest.importorskip("torch")

from edgecount.errors import ConfigError, SourceError
from edgecount.train.data.readers import guess_reader


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("reader", "names"),
    [
        ("csv", ["h.CSV", "0.jpg"]),
        ("csv_folder", ["images.csv", "points.csv", "images/0.jpg"]),
        ("coco", ["annotations/a.json", "0.jpg"]),
        ("voc", ["Annotations/0.xml", "JPEGImages/0.jpg"]),
        ("yolo", ["images/0.jpg", "labels/0.txt"]),
        ("yolo", ["train/images/0.jpg", "train/labels/0.txt", "data.yaml"]),
        ("yolo", ["0.jpg", "0.txt"]),
        ("mot", ["train/a/img1/1.jpg", "train/a/gt/gt.txt"]),
        ("shanghaitech", ["images/IMG_1.jpg", "ground-truth/GT_IMG_1.mat"]),
        ("jhu_crowd", ["train/images/0001.jpg", "train/gt/0001.txt"]),
        ("ucf_qnrf", ["Train/img_0001.jpg", "Train/img_0001_ann.mat"]),
    ],
)
def test_one_layout_is_enough(tmp_path, reader, names):
    assert guess_reader(make(tmp_path, *names)) == reader


def test_several_layouts_or_none_are_a_question(tmp_path):
    with pytest.raises(ConfigError, match="no known layout fits"):
        guess_reader(make(tmp_path, "0.jpg"))
    with pytest.raises(ConfigError, match=r"coco, csv could each read .*: name one"):
        guess_reader(make(tmp_path, "a.json", "h.csv"))
    assert guess_reader(tmp_path / "a.json") == "coco"
    with pytest.raises(SourceError, match="nowhere is neither"):
        guess_reader(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "reader"),
    [('{"images": [], "annotations": []}', "coco"), ("{", "coco"), ("[]", "coco")],
)
def test_a_file_called_as_settings_of_scenes_may_be_annotations(tmp_path, text, reader):
    (tmp_path / "scenes.json").write_text(text)
    assert guess_reader(tmp_path) == reader


def test_settings_of_rendered_scenes_are_no_annotations(tmp_path):
    (tmp_path / "scenes.json").write_text('{"layout": "csv", "edgecount": "0.1.0"}')
    with pytest.raises(ConfigError, match="no known layout fits"):
        guess_reader(tmp_path)
    assert guess_reader(make(tmp_path, "heads.csv")) == "csv"
    assert guess_reader(make(tmp_path / "other", "annotations/a.json")) == "coco"
    with pytest.raises(ConfigError, match="coco, csv could each read"):
        guess_reader(make(tmp_path, "annotations/a.json"))
