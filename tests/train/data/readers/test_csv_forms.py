"""Tables of heads as spreadsheets and other tools write them."""

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount.errors import SourceError
from edgecount.train.data.readers import read_samples, read_set


def table(folder, text, encoding="utf-8"):
    for name in ("0.jpg", "1.jpg"):
        cv2.imwrite(str(folder / name), np.zeros((48, 64, 3), np.uint8))
    (folder / "h.csv").write_bytes(text.encode(encoding))
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "0.jpg;10;20\n0.jpg;30.5;40\n1.jpg;;\n",
        "0.jpg;10;20\n0.jpg;30,5;40\n1.jpg\n",
        "sep=;\nimage;x;y\n0.jpg;10;20\n0.jpg;30,5;40\n1.jpg\n",
        "image\tx\ty\n0.jpg\t10\t20\n0.jpg\t30.5\t40\n1.jpg\n",
        "0.jpg 10 20\n0.jpg   30.5 40\n1.jpg\n",
        '"0.jpg", 10, 20\n"0.jpg", "30,5", 40\n"1.jpg",,\n',
        "1.jpg\n./0.jpg,10,20\n0.jpg,30.5,40\n",
        ".\\0.jpg,10,20\n0.jpg,30.5,40\nfolder/../1.jpg\n",
        "File Name,X,Y\r\n0.JPG,10,20\r\n0.jpg,30.5,40\r\n1.jpg,,\r\n",
        "image,x,y\r0.jpg,10,20 \r0.jpg,30.5,40\r1.jpg\r",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_separators_quotes_and_spellings(tmp_path, text, encoding):
    two, nobody = read_samples("csv", table(tmp_path, text, encoding))
    assert two.path == tmp_path / "0.jpg"
    assert two.points.tolist() == [[10, 20], [30.5, 40]]
    assert nobody.points.shape == (0, 2)


@pytest.mark.parametrize(
    "text",
    [
        "image,x,y,width,height\n0.jpg,10,20,4,8\n",
        "image,cx,cy,w,h\n0.jpg,10,20,4,8\n",
        "filename,xmin,ymin,xmax,ymax\n0.jpg,8,16,12,24\n",
        "image,left,top,width,height\n0.jpg,8,16,4,8\n",
        "filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,64,48,head,8,16,12,24\n",
    ],
)
def test_columns_of_boxes_go_by_their_names(tmp_path, text):
    (sample,) = read_samples("csv", table(tmp_path, text))
    assert sample.boxes.tolist() == [[8, 16, 12, 24]]
    assert sample.points.tolist() == [[10, 20]]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("0.jpg,8,16,12,24\n1.jpg,30,20,44,40\n", "left, top, right, bottom, read as x,y,w,h"),
        ("image,x,y,w,h\n0.jpg,0,16,12,20\n1.jpg,30,0,14,9\n", "centres at the very edge"),
        ("image,x,y,w,h\n0.jpg,8,16,12,24\n1.jpg,30,20,44,40\n", ""),  # named, so it is meant
        ("0.jpg,8,16,12,24\n1.jpg,30,20,14,10\n", ""),
        ("0.jpg,20,20,30,30\n1.jpg,,\n", ""),  # one box may look so by chance
        ("image,x,y,w,h\n0.jpg,0,16,12,20\n", ""),
        ("image,left,top,w,h\n0.jpg,0,0,12,20\n1.jpg,30,0,14,9\n", ""),
        ("0.jpg,0,16\n1.jpg,30,0\n", ""),
    ],
)
def test_boxes_that_look_like_others_are_hinted_at(tmp_path, text, hint):
    _, reading = read_set("csv", table(tmp_path, text))
    assert hint in "".join(reading.notes)
    assert list(reading.notes.values()) == ([2] if hint else [])


def test_beside_four_sides_width_and_height_are_those_of_the_image(tmp_path):
    text = "filename,width,height,xmin,ymin,xmax,ymax\n0.jpg,128,96,8,16,12,24\n"
    (sample,) = read_samples("csv", table(tmp_path, text))
    with pytest.raises(SourceError, match=r"h\.csv says 128x96, the image is 64x48"):
        sample.image()


def test_of_several_classes_heads_count(tmp_path):
    text = "image,x,y,label\n0.jpg,1,2,Head\n0.jpg,3,4,dog\n0.jpg,5,6,head\n"
    (sample,), reading = read_set("csv", table(tmp_path, text))
    assert sample.points.tolist() == [[1, 2], [5, 6]]
    assert reading.counted == {"head": 2}
    assert reading.left_out == {"heads of class dog": 1}
    (other,) = read_samples("csv", table(tmp_path, text.replace("3,4,dog", "nan,4,dog")))
    assert other.points.tolist() == [[1, 2], [5, 6]]  # whatever is left out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,x,y,radius\n0.jpg,1,2,3\n", "unknown column 'radius': expected image with x, y"),
        ("image,x,y,w\n0.jpg,1,2,3\n", "line 1: expected image with x, y"),
        ("image,x,cx,y\n0.jpg,1,1,2\n", "two columns mean the same, x"),
        ("0.jpg,1,2,3,4,5\n", "line 1: expected image,x,y"),
        ("0.jpg;1;2\n0.jpg,1,2\n", "line 2: .*separated by semicolons"),
        ("image,xmin,ymin,xmax,ymax\n0.jpg,9,1,2,3\n", "line 2: expected left <= right"),
        ('0.jpg,"1,234",2\n', "is 1,234 a fraction or thousands"),
        ("image,x,y\n0.jpg,1_0,2\n", "line 2: expected "),
        ("0.jpg,1e300,2\n", "line 1: expected pixels of an image, got .'1e300', '2'"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, text, message):
    with pytest.raises(SourceError, match=rf"h\.csv: .*{message}"):
        read_samples("csv", table(tmp_path, text))


def test_a_folder_of_tables_has_the_same_spellings(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("0.JPG", "1.jpg"):
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "images.csv").write_bytes("image;width;height\n0.jpg;64;48\n".encode("utf-16"))
    (tmp_path / "points.csv").write_text("image;x;y\n.\\0.jpg;1;2\n")
    (sample,), reading = read_set("csv_folder", tmp_path)
    assert (sample.path.name, len(sample.points)) == ("0.JPG", 1)
    assert [path.name for path in reading.unannotated] == ["1.jpg"]
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2\n2.jpg,1,1,2,2\n")
    with pytest.raises(SourceError, match=r"boxes\.csv names '2\.jpg'"):
        read_samples("csv_folder", tmp_path)


@pytest.mark.parametrize(
    ("rows", "is_told"),
    [
        ("0.jpg,62.3,29.2\n0.jpg,8.6,6.4\n1.jpg,99.5,3.0\n", True),
        ("0.jpg,62.3,29.2\n0.jpg,8.6,6.4\n1.jpg,199.5,3.0\n", False),  # pixels
        ("0.jpg,62,29\n0.jpg,8,6\n1.jpg,99,3\n", False),  # clicked pixels
        ("0.jpg,32.3,29.2\n0.jpg,8.6,6.4\n", False),  # a few heads near the corner
    ],
)
def test_percents_are_told(tmp_path, caplog, rows, is_told):
    for name in ("0.jpg", "1.jpg"):
        cv2.imwrite(str(tmp_path / name), np.zeros((480, 640, 3), np.uint8))
    (tmp_path / "h.csv").write_text(f"image,x,y\n{rows}")
    read_set("csv", tmp_path, unannotated="empty")
    assert ("got percents of the sides?" in caplog.text) == is_told
