"""The images of an export are read and judged before the long work; what is wrong is said then."""

import pytest
from graphs import write_photos

from edgecount.errors import AccuracyError, ModelError, SourceError
from edgecount.export import package
from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return write_photos(tmp_path / "photos", 8)


@pytest.mark.parametrize("folder", ["calibration", "verify"])
def test_an_unreadable_image_ends_it_before_the_long_work(
    model, photos, tmp_path, folder, monkeypatch
):
    monkeypatch.setattr(package, "_Exporter", None)
    (tmp_path / "others").mkdir()
    write_photos(tmp_path / "others", 4)
    broken = {"calibration": photos, "verify": tmp_path / "others"}[folder] / "02.png"
    broken.write_bytes(broken.read_bytes()[:200])
    options = ExportOptions(
        *(True, True), calibration=photos, verify=tmp_path / "others", threads=1
    )
    with pytest.raises(SourceError, match=r"02\.png"):
        export_model(model, tmp_path / "made", options)
    assert not (tmp_path / "made").exists()


def test_a_model_that_is_not_there_is_told_before_images_are_read(photos, tmp_path):
    told = []
    with pytest.raises(ModelError, match="no such model file"):
        export_model(
            str(tmp_path / "none.onnx"),
            tmp_path / "made",
            ExportOptions(calibration=photos),
            progress=lambda *done: told.append(done),
            warn=told.append,
        )
    assert told == []


def test_warnings_come_before_the_long_work(model, photos, tmp_path):
    told = []
    options = ExportOptions(
        *(True, True), calibration=photos, number=3, fp16_gate=1, int8_gate=1, threads=1
    )
    made = export_model(
        model,
        tmp_path / "made",
        options,
        progress=lambda what, done, _: told.append((what, done)),
        warn=told.append,
    )
    place = {text[:14]: told.index(text) for text in told if isinstance(text, str)}
    assert set(place) >= {"counts are com", "3 calibration "}
    work = next(i for i, one in enumerate(told) if one[0] == "counting in FP32")
    assert max(place["counts are com"], place["3 calibration "]) < work
    assert [text for text in told if isinstance(text, str)] == list(made.warnings)
    assert ("reading the calibration images", 3) in told


def test_a_cache_that_cannot_be_written_is_a_warning(model, photos, tmp_path):
    (tmp_path / "made.calibration.npz").mkdir()
    told = []
    options = ExportOptions(int8=True, calibration=photos, verify=photos, int8_gate=0.2, threads=1)
    made = export_model(model, tmp_path / "made", options, warn=told.append)
    said = [text for text in told if "calibration.npz" in text]
    assert len(said) == 1
    assert said[0].startswith("cannot write ")
    assert "\n" not in said[0]
    assert said[0] in made.warnings
    assert (tmp_path / "made" / "model.int8.onnx").is_file()


def test_what_fp16_is_refused_for_is_not_the_calibration(model, photos, tmp_path):
    options = ExportOptions(*(True, True), calibration=photos, fp16_gate=0, threads=1)
    with pytest.raises(AccuracyError, match=r"model\.fp16\.onnx counts differently") as raised:
        export_model(model, tmp_path / "made", options)
    assert "`calibration`" not in str(raised.value)
    assert "nothing was written; keep it all the same with `force`" in str(raised.value)
