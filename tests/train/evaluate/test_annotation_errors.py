"""Annotations that counts speak against, with tiny models that count white squares of 8 x 8 px."""

import dataclasses

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from edgecount import EdgeCounter
from edgecount.errors import SourceError
from edgecount.manifest import IntervalSpec
from edgecount.train.data.readers.samples import from_boxes, from_points
from edgecount.train.evaluate.annotation_errors import find_annotation_errors

CORNERS = [(16 + 48 * column, 16 + 48 * row) for row in range(4) for column in range(5)]  # 20
CENTRES = np.array(CORNERS) + 4.0


@pytest.fixture
def picture(tmp_path, squares):
    """Write a picture with the first so many squares, of a brightness, and return its path."""

    def write(name, number, brightness=255):
        path = tmp_path / f"{name}.png"
        frame = np.where(squares(256, 224, *CORNERS[:number]) > 0, brightness, 0).astype(np.uint8)
        assert cv2.imwrite(str(path), frame)
        return path

    return write


@pytest.fixture(scope="module")
def ranged(make_manifest, make_graph, write_model, tmp_path_factory):
    """Write the model with a likely range of two people to either side."""
    plain = make_manifest()
    interval = IntervalSpec(0.9, below=2.0, above=2.0, floor=1.0, root=0.0, share=0.0, gap=0.0)
    postprocess = dataclasses.replace(plain.postprocess, interval=interval)
    manifest = dataclasses.replace(plain, postprocess=postprocess)
    return write_model(make_graph(manifest), tmp_path_factory.mktemp("m") / "ranged.onnx", manifest)


def boxed(path, centres, side=8.0):
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    return from_boxes(path, np.hstack([centres - side / 2, centres + side / 2]))


def find(model, *samples, **options):
    with EdgeCounter(model) as counter:
        return find_annotation_errors(counter, samples, **options)


def test_heads_that_nobody_annotated_are_counted_and_their_picture_is_listed(tiny_model, picture):
    path = picture("half", 20)
    found = find(tiny_model, boxed(path, CENTRES[:12]), boxed(picture("fine", 20), CENTRES))
    (suspect,) = found.suspects
    assert (found.model, found.images, found.heads, found.unseen) == ("tiny", 2, 32, 0)
    assert suspect.sample.path == path
    assert suspect.count == pytest.approx(20)
    assert (suspect.annotated, suspect.unannotated, suspect.clear, suspect.unseen) == (12, 8, 8, 0)
    assert suspect.reasons == ("unannotated",)
    alone = suspect.points[suspect.is_unannotated, :2]
    np.testing.assert_allclose(sorted(map(tuple, alone)), sorted(map(tuple, CENTRES[12:] - 2)))


@pytest.mark.parametrize(("annotated", "listed"), [(17, True), (18, False)])
def test_three_clear_heads_are_needed(tiny_model, picture, annotated, listed):
    found = find(tiny_model, boxed(picture("a", 20), CENTRES[:annotated]))
    assert bool(found.suspects) == listed


def test_a_share_of_those_annotated_is_needed(tiny_model, picture):
    heads = np.vstack([CENTRES[:17], CENTRES[:4] + 1])  # 21, of which 15% are more than 3
    assert not find(tiny_model, boxed(picture("a", 20), heads)).suspects


def test_points_beside_a_head_are_its_own(tiny_model, picture):
    path = picture("a", 20)
    points = CENTRES - 2  # the first of the four cells of a square, which are all peaks
    assert not find(
        tiny_model, boxed(path, points + np.array((6, 8)), side=16)
    ).suspects  # 10 of 11.3 px
    (suspect,) = find(tiny_model, boxed(path, points + np.array((6, 10)), side=16)).suspects
    assert suspect.unannotated == 20


def test_faint_heads_count_only_with_a_count_outside_its_range(tiny_model, ranged, picture):
    sample = boxed(picture("faint", 10, 140), CENTRES[:4])  # scores of 0.55, clear from 0.625
    assert not find(tiny_model, sample).suspects
    (suspect,) = find(ranged, sample).suspects
    assert suspect.reasons == ("too_few",)
    assert (suspect.unannotated, suspect.clear) == (6, 0)
    assert suspect.too_few == pytest.approx(suspect.interval[0] - 4)
    assert not find(ranged, boxed(sample.path, CENTRES[:9])).suspects


def test_pictures_without_people_and_annotations_are_fine(tiny_model, picture):
    nobody = np.zeros((0, 2))
    found = find(tiny_model, from_points(picture("empty", 0), nobody))
    assert (found.images, found.heads, found.suspects, found.blind) == (1, 0, [], False)
    (suspect,) = find(tiny_model, from_points(picture("full", 5), nobody)).suspects
    assert (suspect.annotated, suspect.unannotated, suspect.unseen) == (0, 5, 0)


def test_points_of_another_picture_are_told_by_a_model_that_sees_the_others(tiny_model, picture):
    strange = boxed(picture("strange", 0), CENTRES[:5])
    fine = boxed(picture("fine", 20), CENTRES)
    found = find(tiny_model, strange, fine, fine)
    (suspect,) = found.suspects
    assert suspect.reasons == ("nobody_there",)
    assert (suspect.unseen, suspect.count, found.unseen, found.heads) == (5, 0, 5, 45)
    assert not found.blind
    alone = find(tiny_model, strange)
    assert alone.blind
    assert alone.suspects == []


def test_one_wrong_picture_of_four_does_not_blind_the_model(tiny_model, picture):
    fine = [boxed(picture(f"fine{number}", 10), CENTRES[:10]) for number in range(3)]
    strange = boxed(picture("strange", 0), CENTRES)
    found = find(tiny_model, *fine, strange)  # 20 of 50 heads are unseen, none of the others' 30
    assert (found.heads, found.unseen, found.blind) == (50, 20, False)
    assert [suspect.sample for suspect in found.suspects] == [strange]


@pytest.mark.parametrize(("seen", "blind"), [(8, False), (7, True)])
def test_a_model_that_misses_heads_of_the_other_pictures_is_blind(tiny_model, picture, seen, blind):
    dark = boxed(picture("dark", seen), CENTRES[:10])
    found = find(tiny_model, dark, boxed(picture("strange", 0), CENTRES[:5]))
    assert found.blind == blind
    assert len(found.suspects) == (not blind)


def test_where_no_head_is_seen_the_model_is_blind(tiny_model, picture):
    strange = [boxed(picture(f"strange{number}", 0), CENTRES[:9]) for number in range(3)]
    for samples in (strange, [*strange, boxed(picture("empty", 0), [])]):
        found = find(tiny_model, *samples)
        assert found.blind
        assert found.suspects == []


def test_moved_points_are_unannotated_and_unseen(tiny_model, picture):
    moved = boxed(picture("moved", 5), CENTRES[:5] + np.array((0, 96)))
    (suspect,) = find(tiny_model, moved, boxed(picture("fine", 20), CENTRES)).suspects
    assert suspect.reasons == ("unannotated", "nobody_there")
    assert (suspect.unannotated, suspect.unseen) == (5, 5)


def test_the_most_striking_come_first(tiny_model, picture):
    path = picture("a", 20)
    found = find(tiny_model, *(boxed(path, CENTRES[:number]) for number in (16, 4, 10, 20)))
    assert [suspect.annotated for suspect in found.suspects] == [4, 10, 16]


def test_a_density_map_alone_tells_people_elsewhere(make_model, picture):
    model, path = make_model(roles=("density",)), picture("a", 20)
    found = find(model, boxed(path, CENTRES[:12]), boxed(path, CENTRES))
    (suspect,) = found.suspects
    assert suspect.unannotated == pytest.approx(8)
    assert (suspect.annotated, suspect.clear, suspect.unseen) == (12, None, 0)
    assert suspect.points.shape == (0, 3)


def test_a_detector_tells_heads_but_none_that_it_does_not_see(make_model, picture):
    model, path = make_model(roles=("scores", "boxes")), picture("a", 12)
    found = find(model, boxed(path, CENTRES[:6]), boxed(path, CENTRES))
    (suspect,) = found.suspects
    assert (suspect.annotated, suspect.unannotated, suspect.clear) == (6, 6, 6)
    assert (suspect.unseen, found.unseen, found.blind) == (None, None, False)


def test_what_lies_outside_the_annotated_region_is_not_missed(tiny_model, picture, tmp_path):
    path, left = picture("a", 20), CENTRES[CENTRES[:, 0] < 100]  # 8 heads of 20
    corners = np.array([(0, 0), (100, 0), (100, 224), (0, 224)], np.float32)
    assert not find(tiny_model, from_points(path, left, region=corners)).suspects
    mask = np.zeros((224, 256), np.uint8)
    mask[:, :100] = 255
    assert cv2.imwrite(str(tmp_path / "mask.png"), mask)
    assert not find(tiny_model, from_points(path, left, region=tmp_path / "mask.png")).suspects
    (suspect,) = find(tiny_model, from_points(path, left[:4], region=corners)).suspects
    assert (suspect.annotated, suspect.unannotated, suspect.interval) == (4, 4, None)
    assert suspect.count == pytest.approx(8)


def test_pictures_that_cannot_be_read_are_left_out(tiny_model, picture, tmp_path):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no picture")
    samples = boxed(damaged, CENTRES), boxed(picture("half", 20), CENTRES[:10])
    failed, steps = [], []
    found = find(
        tiny_model,
        *samples,
        progress=lambda: steps.append(1),
        on_error=lambda sample, error: failed.append((sample, type(error))),
    )
    assert failed == [(samples[0], SourceError)]
    assert (found.images, found.heads, len(found.suspects), len(steps)) == (1, 10, 1, 2)
    (left_out,) = found.to_dict()["failed"]
    assert (left_out["name"], left_out["path"]) == ("damaged", str(damaged))
    assert "damaged.png" in left_out["reason"]
    with pytest.raises(SourceError, match=r"damaged\.png"):
        find(tiny_model, *samples)
