"""Sets that annotate points, each in its true layout."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from edgecount.errors import SourceError
from edgecount.train.data.readers import read_samples
from edgecount.train.data.readers.regions import inside_mask, inside_polygon, outline

POINTS = np.array([[10.0, 20.0], [30.5, 40.25], [70.0, 8.0]])


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def save(path, contents):
    path.parent.mkdir(parents=True, exist_ok=True)
    from scipy.io import savemat

    savemat(path, contents)


def cells(*items):
    """Make a MATLAB cell array of one row."""
    out = np.empty((1, len(items)), object)
    for index, item in enumerate(items):
        out[0, index] = item
    return out


def save_shanghaitech(path, points):
    info = np.array([[(points, len(points))]], [("location", object), ("number", object)])
    save(path, {"image_info": cells(info)})


def test_shanghaitech(shanghaitech):
    samples = read_samples("shanghaitech", shanghaitech)
    assert [sample.name for sample in samples] == ["IMG_1", "IMG_2"]
    assert [sample.points.shape for sample in samples] == [(5, 2), (30, 2)]
    assert samples[0].points.dtype == np.float32
    assert samples[0].boxes is None


def test_a_part_of_shanghaitech_gives_its_training_images(tmp_path):
    for part, number in (("train_data", 1), ("test_data", 2)):
        touch(tmp_path / part / "images" / f"IMG_{number}.jpg")
        save_shanghaitech(tmp_path / part / "ground-truth" / f"GT_IMG_{number}.mat", POINTS)
    (sample,) = read_samples("shanghaitech", tmp_path)
    assert sample.name == "IMG_1"
    assert np.array_equal(sample.points, POINTS.astype(np.float32))
    (sample,) = read_samples("shanghaitech", tmp_path / "test_data")
    assert sample.name == "IMG_2"


def test_mall(tmp_path):
    frames = [np.array([[(np.full((n, 2), 7.0),)]], [("loc", object)]) for n in (3, 0)]
    for number in (1, 2):
        touch(tmp_path / "frames" / f"seq_{number:06d}.jpg")
    save(tmp_path / "mall_gt.mat", {"frame": cells(*frames)})
    assert [len(sample.points) for sample in read_samples("mall", tmp_path)] == [3, 0]
    touch(tmp_path / "frames" / "seq_000003.jpg")
    with pytest.raises(SourceError, match=r"mall_gt\.mat: annotates frames 1 to 2, not seq_000003"):
        read_samples("mall", tmp_path)


def test_mall_in_its_region_alone(tmp_path):
    frame = np.array([[(POINTS,)]], [("loc", object)])
    cv2.imwrite(str(tmp_path / "seq_000001.jpg"), np.full((60, 80, 3), 200, np.uint8))
    (tmp_path / "frames").mkdir()
    (tmp_path / "seq_000001.jpg").rename(tmp_path / "frames" / "seq_000001.jpg")
    save(tmp_path / "mall_gt.mat", {"frame": cells(frame)})
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 5:40] = 1
    roi = np.array([[(mask,)]], [("mask", object)])
    save(tmp_path / "perspective_roi.mat", {"roi": roi, "pMapN": np.ones((60, 80))})
    (sample,) = read_samples("mall_roi", tmp_path)
    assert sample.points.tolist() == POINTS[:2].tolist()
    assert np.array_equal(sample.mask(60, 80), mask > 0)
    (whole,) = read_samples("mall", tmp_path)
    assert len(whole.points) == 3
    assert whole.mask(60, 80) is None


@pytest.mark.parametrize("nested", [False, True])
def test_ucsd_keeps_the_people_on_the_walkway(tmp_path, nested):
    located = np.column_stack([POINTS, np.ones(3)])
    frames = cells(
        *(np.array([[(loc,)]], [("loc", object)]) for loc in (located, np.zeros((0, 3))))
    )
    truth = tmp_path / "vidf-cvpr"
    contents = np.array([[(frames,)]], [("frame", object)]) if nested else frames
    save(
        truth / "vidf1_33_000_frame_full.mat",
        {"fgt": contents} if nested else {"frame": contents},
    )
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 5:40] = 1
    roi = np.array([[(mask,)]], [("mask", object)])
    save(truth / "vidf1_33_roi_mainwalkway.mat", {"roi": roi})
    folder = tmp_path / "vidf" / "vidf1_33_000.y"
    folder.mkdir(parents=True)
    for number in (1, 2):
        cv2.imwrite(str(folder / f"vidf1_33_000_f{number:03d}.png"), np.full((60, 80), 200, "u1"))
    first, second = read_samples("ucsd", tmp_path)
    # MATLAB counts from 1 at the centre of a pixel, and (70, 8) is off the walkway.
    assert first.points.tolist() == [[9.5, 19.5], [30.0, 39.75]]
    assert second.points.shape == (0, 2)
    assert np.array_equal(first.image()[:, :, 0] > 0, mask > 0)
    (truth / "vidf1_33_001_frame_full.mat").write_bytes(b"")
    with pytest.raises(SourceError, match=r"001_frame_full\.mat has no images.*vidf1_33_001\.y"):
        read_samples("ucsd", tmp_path)


def test_ucf_cc_50(tmp_path):
    touch(tmp_path / "1.jpg")
    save(tmp_path / "1_ann.mat", {"annPoints": POINTS})
    (sample,) = read_samples("ucf_cc_50", tmp_path)
    assert np.array_equal(sample.points, POINTS.astype(np.float32))
    touch(tmp_path / "2.jpg")
    save(tmp_path / "2_ann.mat", {"points": POINTS})
    with pytest.raises(SourceError, match=r"2_ann\.mat lacks the field 'annPoints'"):
        read_samples("ucf_cc_50", tmp_path)


def test_ucf_qnrf_gives_its_training_images(tmp_path):
    for part, number in (("Train", 1), ("Test", 2)):
        touch(tmp_path / part / f"img_{number:04d}.jpg")
        save(tmp_path / part / f"img_{number:04d}_ann.mat", {"annPoints": POINTS})
    (sample,) = read_samples("ucf_qnrf", tmp_path)
    assert sample.name == "img_0001"
    (sample,) = read_samples("ucf_qnrf", tmp_path / "Test")
    assert sample.name == "img_0002"


def test_worldexpo_keeps_the_people_in_each_scene_s_region(tmp_path):
    scene = tmp_path / "train_label" / "100156"
    touch(tmp_path / "train_frame" / "100156_A_1.jpg")
    save(scene / "100156_A_1.mat", {"point_position": POINTS})
    corners = np.array([[0.0, 60, 60, 0], [0.0, 0, 60, 60]])
    x, y = corners[:, :, None]
    save(scene / "roi.mat", {"maskVerticesXCoordinates": x, "maskVerticesYCoordinates": y})
    (sample,) = read_samples("worldexpo", tmp_path)
    assert sample.points.tolist() == POINTS[:2].tolist()
    assert sample.region.tolist() == corners.T.tolist()
    assert sample.group == "100156"
    (tmp_path / "train_label").rename(tmp_path / "test_label")
    touch(tmp_path / "test_frame" / "100156" / "100156_A_1.jpg")
    (sample,) = read_samples("worldexpo", tmp_path / "test_frame")
    assert sample.path.parent.name == "100156"
    with pytest.raises(SourceError, match=r"expected the folder .*train_label"):
        read_samples("worldexpo", tmp_path)


def test_trancos_reads_lists_texts_dots_and_masks(tmp_path):
    folder, lists = tmp_path / "images", tmp_path / "image_sets"
    folder.mkdir()
    lists.mkdir()
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 5:40] = 1
    for number in (1, 2):
        name = f"image-1-{number:06d}"
        cv2.imwrite(str(folder / f"{name}.jpg"), np.full((60, 80, 3), 200, np.uint8))
        save(folder / f"{name}mask.mat", {"BW": mask})
    (folder / "image-1-000001.txt").write_text("10 20\n30 40\n70\t8\n")
    dots = np.zeros((60, 80, 3), np.uint8)
    dots[20, 10] = dots[8, 70] = (0, 0, 255)
    cv2.imwrite(str(folder / "image-1-000002dots.png"), dots)
    (lists / "trainval.txt").write_text("image-1-000001.jpg\n")
    (lists / "test.txt").write_text("image-1-000002.jpg\n")
    (training,) = read_samples("trancos", tmp_path)
    assert training.points.tolist() == [[10, 20], [30, 40]]
    assert np.array_equal(training.image()[:, :, 0] > 0, mask > 0)
    (test,) = read_samples("trancos", lists / "test.txt")
    assert test.points.tolist() == [[10.5, 20.5]]
    (lists / "trainval.txt").unlink()
    assert len(read_samples("trancos", tmp_path)) == 2
    (folder / "image-1-000001mask.mat").unlink()
    with pytest.raises(SourceError, match=r"000001\.jpg has no annotation.*000001mask\.mat"):
        read_samples("trancos", tmp_path)


def test_nwpu_reads_its_lists_jsons_and_mats(tmp_path):
    for number in (1, 2, 3):
        touch(tmp_path / ("images" if number < 3 else "images_part5") / f"{number:04d}.jpg")
    boxes = [[0, 10, 20, 30], [20, 30, 40, 50], [60, 0, 80, 16]]
    (tmp_path / "jsons").mkdir()
    (tmp_path / "jsons" / "0001.json").write_text(
        json.dumps({"img_id": "0001.jpg", "points": POINTS.tolist(), "boxes": boxes})
    )
    (tmp_path / "jsons" / "0002.json").write_text(json.dumps({"points": [], "boxes": []}))
    save(tmp_path / "mats" / "0003.mat", {"annPoints": POINTS})
    (tmp_path / "train.txt").write_text("0001 2 1\n0002 0 0\n")
    (tmp_path / "val.txt").write_text("0003 1 1\n")
    first, second = read_samples("nwpu_crowd", tmp_path)
    assert np.array_equal(first.points, POINTS.astype(np.float32))
    assert first.boxes.tolist() == boxes
    assert first.sizes.tolist() == pytest.approx([20, 20, 320**0.5])
    assert second.points.shape == (0, 2)
    (val,) = read_samples("nwpu_crowd", tmp_path / "val.txt")
    assert (len(val.points), val.boxes, val.path.parent.name) == (3, None, "images_part5")
    (tmp_path / "test.txt").write_text("0004\n")
    with pytest.raises(SourceError, match=r"0004\.jpg has no annotation: expected .*0004\.json"):
        read_samples("nwpu_crowd", tmp_path / "test.txt")


@pytest.mark.parametrize("version", ["7.3 behind MATLAB's header", "7.3 as plain HDF5"])
def test_new_matlab_files_are_read(tmp_path, version):
    h5py = pytest.importorskip("h5py")
    touch(tmp_path / "1.jpg")
    block = 512 if "header" in version else 0
    with h5py.File(tmp_path / "1_ann.mat", "w", userblock_size=block) as file:
        file["annPoints"] = POINTS.T
    touch(tmp_path / "2.jpg")
    with h5py.File(tmp_path / "2_ann.mat", "w", userblock_size=block) as file:
        file["annPoints"] = np.zeros(2, np.uint64)
        file["annPoints"].attrs["MATLAB_empty"] = 1
    first, second = read_samples("ucf_cc_50", tmp_path)
    assert np.array_equal(first.points, POINTS.astype(np.float32))
    assert second.points.shape == (0, 2)


def test_a_new_matlab_file_without_its_package_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    touch(tmp_path / "1.jpg")
    (tmp_path / "1_ann.mat").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(SourceError, match=r"1_ann\.mat is a MATLAB 7\.3 file.*pip install h5py"):
        read_samples("ucf_cc_50", tmp_path)


def test_outlines_fill_their_masks_again():
    mask = np.zeros((40, 50), np.uint8)
    mask[3:30, 5:12] = 1
    mask[20:30, 5:45] = 1
    filled = cv2.fillPoly(np.zeros_like(mask), [outline(mask > 0).astype(np.int32)], 1)
    assert np.array_equal(filled, mask)
    mask[22:27, 20:30] = 0
    filled = cv2.fillPoly(np.zeros_like(mask), [outline(mask > 0).astype(np.int32)], 1)
    assert not filled[23:26, 21:29].any()
    mask[2:6, 30:40] = 1  # a second part: the line between them may be filled, no more
    filled = cv2.fillPoly(np.zeros_like(mask), [outline(mask > 0).astype(np.int32)], 1)
    assert (filled >= mask).all()
    assert (filled > mask).sum() < 40


def test_inside_a_polygon_and_a_mask():
    hook = np.array([[0, 0], [10, 0], [10, 10], [6, 10], [6, 4], [0, 4]], np.float32)
    points = np.array([[1, 1], [9, 9], [3, 7], [11, 2], [-1, 2], [8, 3]], np.float32)
    assert inside_polygon(points, hook).tolist() == [True, True, False, False, False, True]
    mask = np.zeros((4, 6), bool)
    mask[1, 2] = True
    points = np.array([[2.0, 1.0], [2.99, 1.99], [3.0, 1.5], [2.5, 4.0], [-1, -1]], np.float32)
    assert inside_mask(points, mask).tolist() == [True, True, False, False, False]
