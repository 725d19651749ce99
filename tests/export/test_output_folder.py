"""Folders that are replaced, and what is not lost by that."""

import json

import pytest

from edgecount.errors import BackendError, OutputError
from edgecount.export.output_folder import check_target, published

REPORT = {"made_by": "edgecount 0.1.0", "files": [{"file": "model.onnx"}, {"file": "model.engine"}]}
OWN = (
    *("report.html", "model.onnx", "model.engine", "model.engine.json"),
    "model.engine.runtime-cache",
)


@pytest.fixture
def export(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(REPORT))
    for name in OWN:
        (folder / name).write_text("old")
    return folder


def replace(folder):
    check_target(folder, overwrite=True, inputs=())
    with published(folder, overwrite=True) as new:
        (new / "model.onnx").write_text("new")


def test_an_export_with_what_its_engines_keep_is_replaced(export, tmp_path):
    replace(export)
    assert [path.name for path in export.iterdir()] == ["model.onnx"]
    assert list(tmp_path.iterdir()) == [export]


def test_what_openvino_compiled_goes_with_its_model(export, tmp_path):
    (export / "openvino-cache").mkdir()
    (export / "openvino-cache" / "model-any-0123.blob").write_text("old")
    replace(export)
    assert [path.name for path in export.iterdir()] == ["model.onnx"]
    assert list(tmp_path.iterdir()) == [export]


@pytest.mark.parametrize(
    "name",
    [
        *("notes.txt", "mine/a", "model.plan", "other.engine.json"),
        *("openvino-cache", "openvino-cache/notes.txt", "openvino-cache/mine.blob/a"),
    ],
)
def test_files_of_the_user_are_named_and_kept(export, name):
    (export / name).parent.mkdir(parents=True, exist_ok=True)
    (export / name).write_text("mine")
    with pytest.raises(OutputError, match=rf"made holds what no export wrote.*: {name[:4]}"):
        replace(export)
    assert (export / name).read_text() == "mine"
    assert (export / "model.onnx").read_text() == "old"


def test_a_folder_in_the_place_of_a_file_is_kept(export):
    (export / "model.onnx").unlink()
    (export / "model.onnx").mkdir()
    with pytest.raises(OutputError, match=r"delete it: model\.onnx"):
        replace(export)


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "no JSON", '{"made_by": "pytest 8", "files": []}', '{"made_by": "edgecount"}'],
)
def test_a_report_of_somebody_else_makes_no_export(export, text):
    (export / "report.json").write_text(text)
    with pytest.raises(OutputError, match=r"made is no earlier export \(it holds no report\.json"):
        replace(export)
    assert (export / "model.onnx").read_text() == "old"


def test_what_came_while_the_export_ran_is_kept(export, tmp_path):
    def late():
        with published(export, overwrite=True):
            (export / "notes.txt").write_text("mine")

    with pytest.raises(OutputError, match=r"delete it: notes\.txt"):
        late()
    assert (export / "notes.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [export]


def test_errors_name_the_file_that_was_to_be(tmp_path):
    out = tmp_path / "made"
    with (
        pytest.raises(BackendError, match=rf"^cannot run {out}/model\.onnx: no$"),
        published(out, overwrite=False) as new,
    ):
        raise BackendError(f"cannot run {new / 'model.onnx'}: no")
    assert not list(tmp_path.iterdir())
