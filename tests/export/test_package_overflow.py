"""Values beyond float16 that only some pictures show, on the whole export."""

from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
from graphs import small_manifest, small_model, write_photos
from onnx import numpy_helper

from edgecount.errors import AccuracyError, BackendError, ModelError
from edgecount.export import package
from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model
from edgecount.export.precision import convert, trial
from edgecount.export.precision.value_ranges import largest_magnitudes
from edgecount.export.source.load import load_source, with_manifest
from edgecount.export.verify.compare import NamedImage
from edgecount.export.verify.images import ImageFolder, spread
from edgecount.manifest import InputSpec


def write_grey(folder, number):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(number):
        assert cv2.imwrite(str(folder / f"{index:02}.png"), np.full((128, 160, 3), 128, np.uint8))
    return folder


@pytest.fixture
def loud(tmp_path):
    """A network that overflows on pictures with edges, and not on grey ones."""
    path = tmp_path / "loud.onnx"
    onnx.save(small_model(gain=5e4), path)
    return str(path)


def test_pictures_of_all_folders_are_scanned(loud, tmp_path):
    photos = tmp_path / "photos"
    write_grey(photos / "a", 12)
    (photos / "b").mkdir()
    write_photos(photos / "b", 6)
    steps = []
    options = ExportOptions(fp16=True, verify=photos, threads=1)
    made = export_model(loud, tmp_path / "made", options, progress=lambda *step: steps.append(step))
    half = made.files[1].converted
    assert ("looking for large values", package.SCANNED, package.SCANNED) in steps
    assert not any(what.startswith("looking for large values on") for what, *_ in steps)
    assert {"second", "second_relu", "third", "side"} <= set(half.kept)
    assert half.comparison.passed
    assert len(half.comparison.images) == 18


def test_calibration_pictures_are_scanned_too(loud, tmp_path, monkeypatch):
    seen = []
    real = trial.largest_magnitudes

    def spy(model, feeds, **options):
        seen.append(len(feeds))
        return real(model, feeds, **options)

    monkeypatch.setattr(trial, "largest_magnitudes", spy)
    (tmp_path / "photos").mkdir()
    write_photos(tmp_path / "photos", 20)
    options = ExportOptions(
        *(True, True),
        calibration=tmp_path / "photos",
        verify=write_grey(tmp_path / "grey", 2),
        fp16_gate=1,
        int8_gate=1,
        threads=1,
    )
    made = export_model(loud, tmp_path / "made", options)
    # Once for FP16 and INT8 with FP16 together, on all proof pictures and on some of the others.
    assert seen == [2 + package.SCANNED]
    for record in made.files[1:4:2]:
        assert "second_relu" in record.converted.kept


def unscanned(photos):
    """Grey pictures, and one with edges that the first scan does not look at."""
    write_grey(photos, 30)
    last = spread(ImageFolder.of(photos, "verify").paths)[package.SCANNED]
    last.unlink()
    (photos / "one").mkdir()
    write_photos(photos / "one", 1, (160, 128))
    (photos / "one" / "00.png").rename(last)
    return last.name


def test_a_picture_that_overflows_is_looked_at_itself(loud, tmp_path):
    photos = tmp_path / "photos"
    name = unscanned(photos)
    steps = []
    options = ExportOptions(fp16=True, verify=photos, threads=1)
    made = export_model(
        loud, tmp_path / "made", options, progress=lambda what, *_: steps.append(what)
    )
    half = made.files[1].converted
    assert f"looking for large values on {name}" in steps
    assert {"second", "second_relu", "third", "side"} <= set(half.kept)
    assert half.comparison.passed


def test_the_whole_of_a_picture_is_looked_at(tmp_path):
    """Scans take a part of a large picture, the proof takes all of it."""
    model = with_manifest(
        small_model(gain=5e4), replace(small_manifest(), input=InputSpec(max_side=2048))
    )
    onnx.save(model, tmp_path / "loud.onnx")
    source = load_source(str(tmp_path / "loud.onnx"))
    wide = np.full((128, 1920, 3), 128, np.uint8)
    wide[:, -100:] = np.random.default_rng(0).integers(0, 256, (128, 100, 3))
    grey = np.zeros((1, 3, 64, 64), np.float32)
    on = trial.Trial(source, tmp_path, [], [grey], 1, lambda *_: None)
    assert on.largest()["second"] < 1e4
    assert on.rescan(NamedImage("grey", np.full((64, 64, 3), 128, np.uint8))) is False
    assert on.rescan(NamedImage("wide", wide)) is True
    assert on.largest()["second"] > 6e4
    assert on.rescan(NamedImage("wide", wide)) is False


@pytest.mark.parametrize("force", [False, True])
def test_what_cannot_count_is_refused_by_picture(loud, tmp_path, monkeypatch, force):
    monkeypatch.setattr(trial, "RESCANS", 0)
    name = unscanned(tmp_path / "photos")
    options = ExportOptions(fp16=True, verify=tmp_path / "photos", force=force, threads=1)
    with pytest.raises(AccuracyError) as raised:
        export_model(loud, tmp_path / "made", options)
    message = str(raised.value)
    assert f"model.fp16.onnx cannot count, and nothing was written: {name}: " in message
    assert "`force` keeps no such file: export without `fp16`" in message


def test_a_model_that_cannot_count_itself(tmp_path, monkeypatch):
    model = small_model()
    bias = next(weight for weight in model.graph.initializer if weight.name == "people_b")
    bias.CopyFrom(numpy_helper.from_array(np.full(1, np.nan, np.float32), "people_b"))
    onnx.save(model, tmp_path / "broken.onnx")
    photos = write_grey(tmp_path / "photos", 2)
    options = ExportOptions(verify=photos)
    with pytest.raises(ModelError, match=r"broken\.onnx: the output density has a NaN"):
        export_model(str(tmp_path / "broken.onnx"), tmp_path / "made", options)
    # One whose maps are finite on noise alone.
    monkeypatch.setattr("edgecount.export.source.load.check_runs", lambda *_: None)
    with pytest.raises(BackendError, match=r"model itself cannot count 0\d\.png: .*density"):
        export_model(str(tmp_path / "broken.onnx"), tmp_path / "made", options)


def test_weights_beyond_float16_in_an_int8_export(tmp_path):
    (tmp_path / "photos").mkdir()
    photos = write_photos(tmp_path / "photos", 24)
    onnx.save(small_model(gain=1e6), tmp_path / "loud.onnx")
    options = ExportOptions(fp16=True, int8=True, calibration=photos, number=18, threads=1)
    made = export_model(str(tmp_path / "loud.onnx"), tmp_path / "made", options)
    by_name = {str(record.path): record.converted for record in made.files}
    mixed = by_name["model.int8-fp16.onnx"]
    assert mixed.comparison.relative < 0.02
    # A pair is kept whole, with what reads it.
    assert {"second_w_by_0_quantise", "second_w_by_0_dequantise", "second"} <= set(mixed.kept)
    assert "heads" not in mixed.kept


def test_layers_of_the_mixed_file_are_searched(tmp_path, monkeypatch):
    """As where nothing large was seen beforehand: the counts alone say what must stay."""
    monkeypatch.setattr(convert.Pairs, "overflowing", lambda *_: {})
    monkeypatch.setattr(trial.Trial, "rescan", lambda *_: False)
    (tmp_path / "photos").mkdir()
    photos = write_photos(tmp_path / "photos", 24)
    onnx.save(small_model(gain=1e6), tmp_path / "loud.onnx")
    options = ExportOptions(int8=True, calibration=photos, number=18, threads=1)
    made = export_model(str(tmp_path / "loud.onnx"), tmp_path / "made", options)
    by_name = {str(record.path): record.converted for record in made.files}
    mixed = by_name["model.int8-fp16.onnx"]
    assert mixed.comparison.passed
    assert {"second", "third", "side"} <= set(mixed.kept)
    assert len(mixed.kept) <= 6


def test_the_scan_finds_the_largest_magnitudes():
    model = small_model()
    feeds = [
        {"image": np.random.default_rng(seed).uniform(-1, 1, (1, 3, 64, 96)).astype(np.float32)}
        for seed in range(3)
    ]
    feeds[1]["image"][0, 0, 3, 5] = -7
    steps = []
    largest = largest_magnitudes(model, feeds, threads=1, progress=lambda: steps.append(1))
    assert largest["image"] == 7
    assert set(largest) == {"image", *(node.output[0] for node in model.graph.node)}
    assert largest["second"] > largest["second_cut"] * 0.99
    assert len(steps) == 3
