"""`edgecount data boxes`: points and presets into boxes that the csv reader reads."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from click.testing import CliRunner

from edgecount.cli import cli
from edgecount.errors import ConfigError, SourceError
from edgecount.train.data.boxes import load_presets, with_boxes
from edgecount.train.data.readers import read_samples


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def test_one_preset_sizes_all_heads(shanghaitech, tmp_path):
    presets, out = tmp_path / "presets.csv", tmp_path / "sub" / "boxes.csv"
    presets.write_text("image,x,y,w,h\n*,50,50,6,8\n")
    args = ["data", "boxes", shanghaitech, "--reader", "shanghaitech", "--out", out]
    result = run(*args, "--presets", presets)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"{out}  35 boxes in 2 images"
    before, after = read_samples("shanghaitech", shanghaitech), read_samples("csv", out)
    for sample, boxed in zip(before, after, strict=True):
        assert boxed.path.resolve() == sample.path.resolve()
        assert boxed.points == pytest.approx(sample.points, abs=0.006)
        spans = boxed.boxes[:, 2:] - boxed.boxes[:, :2]
        assert spans == pytest.approx(np.tile([6, 8], (len(spans), 1)), abs=1e-3)
    assert run(*args, "--presets", presets).exit_code == 1
    assert run(*args, "--presets", presets, "--overwrite").exit_code == 0


def test_presets_are_of_images_or_of_all(shanghaitech, tmp_path):
    path = tmp_path / "presets.json"
    path.write_text(json.dumps({"IMG_1.jpg": [[0, 0, 10, 20]], "*": [[0, 0, 4, 4]]}))
    first, second = with_boxes(read_samples("shanghaitech", shanghaitech), load_presets(path))
    assert first.boxes[:, 2:] - first.boxes[:, :2] == pytest.approx(np.tile([10, 20], (5, 1)))
    assert first.sizes == pytest.approx(np.full(5, 200**0.5))
    assert second.sizes == pytest.approx(np.full(30, 4.0))
    path.write_text(json.dumps([[10, 10, 4, 4], [90, 90, 8, 8]]))
    both, _ = with_boxes(read_samples("shanghaitech", shanghaitech), load_presets(path))
    assert ((both.sizes > 4) & (both.sizes < 8)).all()


def test_neighbours_give_squares(shanghaitech, tmp_path):
    out = tmp_path / "boxes.csv"
    result = run(
        "data", "boxes", shanghaitech, "--reader", "shanghaitech", "--neighbours", "--out", out
    )
    assert result.exit_code == 0, result.output
    for before, boxed in zip(
        read_samples("shanghaitech", shanghaitech), read_samples("csv", out), strict=True
    ):
        assert boxed.sizes == pytest.approx(before.sizes, abs=0.02)


def test_images_without_people_stay_in_the_set(tmp_path):
    (tmp_path / "heads.csv").write_text("a.jpg,,\nb.jpg,5,5\n")
    out = tmp_path / "boxes.csv"
    args = ["--reader", "csv", "--neighbours", "--out", out]
    assert run("data", "boxes", tmp_path / "heads.csv", *args).exit_code == 0
    assert out.read_text().splitlines()[:2] == ["image,x,y,w,h", "a.jpg,,,,"]
    assert [len(sample.points) for sample in read_samples("csv", out)] == [0, 1]


@pytest.mark.parametrize("options", [[], ["--presets", "a.csv", "--neighbours"]])
def test_presets_or_neighbours(shanghaitech, options):
    result = run("data", "boxes", shanghaitech, "--reader", "shanghaitech", *options)
    assert result.exit_code == 2
    assert "expected one of --presets FILE and --neighbours" in result.stderr


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.json", "[[1, 2, 3]]", "expected lists of x, y, w, h, got shape"),
        ("p.json", "[]", "expected lists"),
        ("p.json", "[[1, 2, 3, 0]]", "above 0"),
        ("p.json", "{", r"p\.json: "),
        ("p.csv", "a,1,2\n", "expected lists"),
        ("p.csv", "a,1,2,3,4\na,b,2,3,4\n", "line 2"),
    ],
)
def test_presets_that_make_no_sense(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_presets(tmp_path / name)


def test_presets_that_miss(shanghaitech, tmp_path):
    samples = read_samples("shanghaitech", shanghaitech)
    box = np.array([[0, 0, 4, 4]], np.float32)
    with pytest.raises(ConfigError, match=r"none for IMG_2: add some, or some for all, called \*"):
        with_boxes(samples, {"IMG_1": box})
    with pytest.raises(ConfigError, match="the set has no image 'IMG_3'"):
        with_boxes(samples, {"IMG_3": box, "*": box})
    with pytest.raises(SourceError, match=r"cannot read .*nowhere\.csv"):
        load_presets(tmp_path / "nowhere.csv")
