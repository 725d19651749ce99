"""The networks of the literature as FP16 and INT8 engines, from checkpoints of random weights."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)

from graphs import write_photos  # noqa: E402

from edgecount.errors import AccuracyError  # noqa: E402
from edgecount.export import package  # noqa: E402
from edgecount.export.options import ExportOptions  # noqa: E402
from edgecount.export.package import export_model  # noqa: E402
from edgecount.export.report import write_report  # noqa: E402
from edgecount.export.tensorrt.build import EngineOptions  # noqa: E402
from edgecount.export.verify import compare  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"), 3, (128, 96))


def save_checkpoint(name, path):
    torch.manual_seed(0)
    network = build_model(name)
    with torch.no_grad():
        network.train()(torch.randn(2, 3, 64, 64))  # batch norms with statistics of their own
    config = config_from_dict({"model": name, "data": [{"reader": "blank"}]})
    state = {"config": config_to_dict(config), "step": 1, "ema": network.eval().state_dict()}
    torch.save(state, path)


@pytest.mark.parametrize(
    "name",
    [
        "edgecount-n",
        pytest.param("hsrnet", marks=pytest.mark.slow),
        pytest.param("centernet", marks=pytest.mark.slow),
        pytest.param("cfanet", marks=pytest.mark.slow),
        pytest.param("raznet", marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_becomes_engines(name, photos, tmp_path):
    save_checkpoint(name, tmp_path / "last.pt")
    for precision in ("fp16", "int8"):
        options = ExportOptions(
            fp16=precision == "fp16",
            int8=precision == "int8",
            calibration=photos,
            target="tensorrt-rtx",
            size=(128, 128),
            engine=EngineOptions("tensorrt-rtx", compute_capabilities=("86", "89")),
            fp16_gate=10,  # random weights count anything
            int8_gate=10,
            threads=1,
        )
        out = tmp_path / precision
        export_model(str(tmp_path / "last.pt"), out, options, finish=write_report)
        files = json.loads((out / "report.json").read_text())["files"]
        assert files[-1]["file"] == f"model.{precision}.engine"
        assert files[-1]["layers"][precision] > 0
        half = next(f for f in files if precision in f["file"])
        if precision == "fp16":
            assert half["bytes"] < 0.52 * files[0]["bytes"], half["kept"]


def test_an_onnx_that_differs_from_its_checkpoint_has_not_passed(photos, tmp_path, monkeypatch):
    def with_a_gate_of_less_than_nothing(pictures, originals, counter, _gate):
        return compare.compare(pictures, originals, counter, -1.0)

    save_checkpoint("edgecount-n", tmp_path / "last.pt")
    monkeypatch.setattr(package, "compare", with_a_gate_of_less_than_nothing)
    given = {"target": "onnx", "verify": photos, "size": (128, 128), "threads": 1}
    with pytest.raises(AccuracyError, match="counts differently from the checkpoint"):
        export_model(str(tmp_path / "last.pt"), tmp_path / "made", ExportOptions(**given))
    options = ExportOptions(**given, force=True)
    made = export_model(str(tmp_path / "last.pt"), tmp_path / "made", options, finish=write_report)
    assert any("from the checkpoint" in text for text in made.warnings)
    (file,) = json.loads((tmp_path / "made" / "report.json").read_text())["files"]
    assert file["verdict"] == "refused, kept by force"
