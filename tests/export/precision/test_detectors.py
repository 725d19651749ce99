"""A detector becomes FP16 and INT8 files, compared by the boxes that they count."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from graphs import write_photos  # noqa: E402

from edgecount.export.options import ExportOptions  # noqa: E402
from edgecount.export.package import export_model  # noqa: E402
from edgecount.export.report import write_report  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402

OPTIONS = {
    "backbone": "mobilenet_v2",
    "width": 0.25,
    "channels": 16,
    "depth": 1,
    "norm": "batch",
    "levels": [8, 16, 32],
    "anchor_size": 2.0,
    "ratios": [1.0],
}


@pytest.mark.slow
def test_a_detector_becomes_half_and_int8_files(tmp_path):
    torch.manual_seed(0)
    network = build_model("retinanet", OPTIONS)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 96, 128))  # batch norms with statistics of their own
        network.score.weight.mul_(100.0)  # scores that differ, on both sides of the threshold
        network.score.bias.fill_(-0.5)
    settings = {
        "model": {"name": "retinanet", **OPTIONS},
        "objective": "detection",
        "data": [{"reader": "blank"}],
    }
    config = config_to_dict(config_from_dict(settings))
    state = {"config": config, "step": 1, "ema": network.eval().state_dict()}
    torch.save(state, tmp_path / "last.pt")
    (tmp_path / "photos").mkdir()
    options = ExportOptions(
        fp16=True,
        int8=True,
        calibration=write_photos(tmp_path / "photos", 3, (128, 96)),
        target="onnx",
        fp16_gate=10,  # random weights count anything
        int8_gate=10,
        threads=1,
    )
    export_model(str(tmp_path / "last.pt"), tmp_path / "out", options, finish=write_report)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    files = {file["file"]: file for file in report["files"]}
    assert {"model.fp16.onnx", "model.int8.onnx", "model.int8-cpu.onnx"} <= set(files)
    assert files["model.fp16.onnx"]["layers"]["fp16"] > 0
    assert files["model.int8-cpu.onnx"]["layers"]["int8"] > 0
    proof = files["model.fp16.onnx"]["proof"]
    assert proof["points_matched"] > 0.95
    assert proof["relative"] < 0.05
