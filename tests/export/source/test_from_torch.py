"""Export: the file counts like the network it came from."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from edgecount.errors import BackendError  # noqa: E402
from edgecount.export.source import from_torch as exporter  # noqa: E402
from edgecount.export.source.from_torch import export_checkpoint  # noqa: E402
from edgecount.manifest import METADATA_KEY, Manifest  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.fold import fold_batch_norm  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = build_model("edgecount-s").train()
    with torch.no_grad():  # batch norms with statistics of their own
        network(torch.randn(4, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "last.pt"
    config = config_from_dict({"model": "edgecount-s", "data": [{"reader": "blank"}]})
    spec = {"window": 5, "threshold": 0.3, "fusion": {"cell": 32, "low": 1.0, "high": 2.0}}
    torch.save(
        {
            "config": config_to_dict(config),
            "step": 3,
            "ema": network.state_dict(),
            "postprocess": spec,
        },
        path,
    )
    return path


def test_exported_file_is_what_the_manifest_says(network, checkpoint, tmp_path):
    path = tmp_path / "new" / "model.onnx"
    manifest = export_checkpoint(checkpoint, path)
    assert path.stat().st_size <= 9e6
    model = onnx.load(path)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert Manifest.from_json(metadata[METADATA_KEY]) == manifest
    assert manifest.postprocess.threshold == 0.3
    assert manifest.postprocess.fusion.high == 2.0
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["density", "heatmap", "offset"]
    for height, width in ((64, 64), (96, 160)):
        image = np.random.default_rng(0).uniform(-1, 1, (1, 3, height, width)).astype("float32")
        density, heatmap, offset = session.run(None, {"image": image})
        with torch.no_grad():
            maps = network(torch.from_numpy(image))
        np.testing.assert_allclose(density, maps.density, atol=1e-4)
        np.testing.assert_allclose(heatmap, maps.heatmap_logits.sigmoid(), atol=1e-4)
        np.testing.assert_allclose(offset, maps.offset, atol=1e-4)


def test_folding_leaves_no_batch_norm_and_the_same_function(network):
    folded = fold_batch_norm(network)
    kinds = {type(module).__name__ for module in folded.modules()}
    assert "BatchNorm2d" not in kinds
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(folded(image).density, network(image).density)
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    manifest = export_checkpoint(checkpoint, path)
    return path.read_bytes(), manifest


def test_a_file_that_differs_from_the_network_is_refused(
    network, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr(exporter, "_MOST", -1.0)
    monkeypatch.setattr(exporter, "_TOLERANCE", -1.0)
    path = tmp_path / "model.onnx"
    with pytest.raises(BackendError, match="density differs from PyTorch's"):
        export_checkpoint(checkpoint, path)
    assert not path.exists()


def test_rounding_is_no_difference_by_float64(network, exported, monkeypatch):
    monkeypatch.setattr(exporter, "_TOLERANCE", 0.0)  # all maps are looked at closer
    exporter._compare(network, *exported)


@pytest.mark.parametrize("share", [3e-4, 0.1])
def test_another_weight_is_a_difference_by_float64(network, exported, share):
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1 + share)
    with pytest.raises(
        BackendError, match=r"differs from PyTorch's at 64x96: by .* float32 differs"
    ):
        exporter._compare(other, *exported)
