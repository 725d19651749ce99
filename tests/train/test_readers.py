"""Sets in their true layout, and the real ones where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from edgecount.errors import ConfigError, SourceError
from edgecount.train.data.readers import Sample, read_samples
from edgecount.train.data.splits import choose, split

DATA = Path(os.environ.get("EDGECOUNT_DATA", Path(__file__).parents[3] / "shared" / "data"))


def test_shanghaitech(shanghaitech):
    samples = read_samples("shanghaitech", shanghaitech)
    assert [sample.name for sample in samples] == ["IMG_1", "IMG_2"]
    assert [sample.points.shape for sample in samples] == [(5, 2), (30, 2)]
    assert samples[0].points.dtype == np.float32


def test_mall(tmp_path):
    from scipy.io import savemat

    (tmp_path / "frames").mkdir()
    frames = np.empty((1, 2), object)
    for index, people in enumerate((3, 0)):
        (tmp_path / "frames" / f"seq_{index + 1:06d}.jpg").touch()
        frames[0, index] = np.array([[(np.ones((people, 2)) * 7,)]], dtype=[("loc", object)])
    savemat(tmp_path / "mall_gt.mat", {"frame": frames})
    assert [len(sample.points) for sample in read_samples("mall", tmp_path)] == [3, 0]


def test_voc_boxes_give_centres_and_sizes(tmp_path):
    (tmp_path / "Annotations").mkdir()
    box = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>19</xmax><ymax>24</ymax></bndbox>"
    (tmp_path / "Annotations" / "a.xml").write_text(
        f"<annotation><object><name>head</name>{box}</object></annotation>"
    )
    (sample,) = read_samples("voc", tmp_path)
    assert sample.points.tolist() == [[14.5, 22.0]]
    assert sample.sizes.tolist() == [6.0]
    assert sample.path == tmp_path / "JPEGImages" / "a.jpg"


def test_broken_sets_are_one_clear_error(shanghaitech, tmp_path):
    with pytest.raises(ConfigError, match="expected one of shanghaitech"):
        read_samples("shangaitech", shanghaitech)
    with pytest.raises(SourceError, match="is not one"):
        read_samples("voc", tmp_path / "nowhere")
    with pytest.raises(SourceError, match="no annotated images"):
        read_samples("voc", tmp_path)
    (shanghaitech / "ground_truth" / "GT_IMG_2.mat").unlink()
    with pytest.raises(SourceError, match=r"GT_IMG_2\.mat"):
        read_samples("shanghaitech", shanghaitech)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation><bndbox><xmin>1</xmin></bndbox>")
    with pytest.raises(SourceError, match="cannot read the annotations"):
        read_samples("voc", tmp_path)


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
        ("shanghaitech", "shanghaitech/part_A/train", "shanghaitech_a", 299, 60, 541),
        ("shanghaitech", "shanghaitech/part_B/train", "shanghaitech_b", 400, 80, 123),
        ("voc", "scut_head", "scut_head", 700, 100, None),
        ("mall", "mall", "mall", 300, 100, 24.65),
    ],
)
def test_the_real_sets(reader, folder, name, images, held_out, people):
    samples = read_samples(reader, DATA / folder)
    assert len(samples) == images
    training, validation = split(samples, name)
    assert (len(training), len(validation)) == (images - held_out, held_out)
    if people:
        mean = np.mean([len(sample.points) for sample in samples])
        assert mean == pytest.approx(people, rel=0.1)
    if name != "mall":  # a sequence: its last frames are held out, not a random choice
        names = [sample.name for sample in samples]
        assert choose(names, held_out) == [sample.name for sample in validation]
