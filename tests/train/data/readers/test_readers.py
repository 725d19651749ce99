"""The readers together: errors, splits, and the real sets where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("torch")

from edgecount.errors import ConfigError, SourceError
from edgecount.train.data.readers import READERS, Sample, read_samples
from edgecount.train.data.splits import choose, split

DATA = Path(os.environ.get("EDGECOUNT_DATA", Path(__file__).parents[5] / "shared" / "data"))


def test_broken_sets_are_one_clear_error(shanghaitech, tmp_path):
    with pytest.raises(ConfigError, match="expected one of shanghaitech"):
        read_samples("shangaitech", shanghaitech)
    with pytest.raises(SourceError, match="is not one"):
        read_samples("voc", tmp_path / "nowhere")
    with pytest.raises(SourceError, match="no annotated images"):
        read_samples("voc", tmp_path)
    truth = shanghaitech / "ground_truth" / "GT_IMG_2.mat"
    truth.write_bytes(b"MATLAB, or not")
    with pytest.raises(SourceError, match=r"cannot read the annotations.*GT_IMG_2\.mat"):
        read_samples("shanghaitech", shanghaitech)
    truth.unlink()
    with pytest.raises(SourceError, match=r"IMG_2\.jpg has no annotation.*GT_IMG_2\.mat"):
        read_samples("shanghaitech", shanghaitech)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation><bndbox><xmin>1</xmin></bndbox>")
    with pytest.raises(SourceError, match=r"cannot read the annotations.*a\.xml"):
        read_samples("voc", tmp_path)


@pytest.mark.parametrize("reader", READERS)
def test_an_empty_folder_is_a_clear_error(reader, tmp_path):
    with pytest.raises(SourceError, match=rf"^{reader}: .*{tmp_path.name}"):
        read_samples(reader, tmp_path)


def test_a_file_is_refused_where_a_folder_is_read(tmp_path):
    (tmp_path / "list.txt").write_text("1\n")
    with pytest.raises(SourceError, match="expected the set's folder, "):
        read_samples("mall", tmp_path / "list.txt")


def test_a_split_of_another_set_is_refused():
    samples = [Sample(Path("IMG_1.jpg"), np.zeros((0, 2)), np.zeros(0))]
    with pytest.raises(ConfigError, match="right folder"):
        split(samples, "shanghaitech_b")
    with pytest.raises(ConfigError, match="expected one of"):
        split(samples, "shanghaitech_c")


@pytest.mark.skipif(not DATA.is_dir(), reason="the research data are not at hand")
@pytest.mark.parametrize(
    ("reader", "folder", "name", "images", "held_out", "people"),
    [
        ("shanghaitech", "shanghaitech/part_A", "shanghaitech_a", 299, 60, 542.7),
        ("shanghaitech", "shanghaitech/part_B/train", "shanghaitech_b", 400, 80, 122.9),
        ("voc", "scut_head", "scut_head", 700, 100, 27.4),
        ("scut_head", "scut_head", "scut_head", 700, 100, 27.4),
        ("mall", "mall", "mall", 300, 100, 24.65),
    ],
)
def test_the_real_sets(reader, folder, name, images, held_out, people):
    samples = read_samples(reader, DATA / folder)
    assert len(samples) == images
    training, validation = split(samples, name)
    assert (len(training), len(validation)) == (images - held_out, held_out)
    mean = np.mean([len(sample.points) for sample in samples])
    assert mean == pytest.approx(people, abs=0.05)
    assert all(sample.path.is_file() for sample in samples)
    if name == "scut_head":
        assert all(len(sample.boxes) == len(sample.points) for sample in samples)
    if name != "mall":  # a sequence: its last frames are held out, not a random choice
        names = [sample.name for sample in samples]
        assert choose(names, held_out) == [sample.name for sample in validation]
