"""Every network exports to the file that its manifest describes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from edgecount import EdgeCounter  # noqa: E402
from edgecount.export.source.from_torch import export_onnx  # noqa: E402
from edgecount.manifest import METADATA_KEY, Manifest  # noqa: E402
from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend  # noqa: E402
from edgecount.runtime.models.open import open_model  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.evaluate.torch_backend import counter_for  # noqa: E402
from edgecount.train.manifest import manifest_of  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.deformable import DeformableConv2d  # noqa: E402
from edgecount.train.models.fold import fold_batch_norm  # noqa: E402

CASES = [
    ("edgecount-n", {}),
    ("edgecount-n", {"focus": True, "recalibration": True}),
    ("edgecount-n", {"zero_inflated": True, "heatmap": False}),
    ("edgecount-n", {"density_stride": 4}),
    ("mcnn", {}),
    ("csrnet", {}),
    pytest.param("cannet", {}, marks=pytest.mark.slow),
    pytest.param("hsrnet", {}, marks=pytest.mark.slow),
    pytest.param("hsrnet", {"recalibration": False}, marks=pytest.mark.slow),
    pytest.param("hsrnet", {"focus_order": "parallel-conv"}, marks=pytest.mark.slow),
    pytest.param("centernet", {}, marks=pytest.mark.slow),
    pytest.param("centernet", {"up": "deformable"}, marks=pytest.mark.slow),
    pytest.param("cfanet", {}, marks=pytest.mark.slow),
    pytest.param("raznet", {}, marks=pytest.mark.slow),
    pytest.param("raznet", {"counting": False}, marks=pytest.mark.slow),
]

OBJECTIVES = {
    "mcnn": "density",
    "csrnet": "density",
    "cannet": "density",
    "hsrnet": "density",
    "centernet": "centernet",
    "cfanet": "cfanet",
    "raznet": "raznet",
}


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_file_counts_like_its_network(name, options, tmp_path):
    torch.manual_seed(0)
    network = build_model(name, options)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:  # starts of 0.01 and 0 would compare zeros with zeros
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        for module in network.modules():
            if isinstance(module, DeformableConv2d):  # moves of a cell or so, as trained ones are:
                module.moves.weight.mul_(0.005)  # across the whole map rounding would grow to chaos
        network.train()(torch.randn(2, 3, 64, 64))  # batch norms with statistics of their own
    network.eval()
    model_section, objective = {"name": name, **options}, OBJECTIVES.get(name, "edge")
    config = config_from_dict(
        {"model": model_section, "objective": objective, "data": [{"reader": "blank"}]}
    )
    manifest = manifest_of(network, {"config": config_to_dict(config), "step": 1})
    path = tmp_path / "model.onnx"
    export_onnx(network, manifest, path)  # which compares the outputs at two sizes itself
    model = onnx.load(path)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert Manifest.from_json(metadata[METADATA_KEY]) == manifest
    image = np.random.default_rng(1).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    with EdgeCounter(path) as exported, counter_for(network, manifest) as trained:
        one, other = exported.count(image), trained.count(image)
    assert one.backend == "onnxruntime"
    assert other.backend == "torch"
    np.testing.assert_allclose(one.density, other.density, rtol=1e-3, atol=1e-4)
    assert one.density_count == pytest.approx(other.density_count, rel=1e-3, abs=1e-3)
    # Not peaks: heatmaps of random weights have plateaus near 1, where rounding makes some.
    assert_same_maps(path, network, manifest)


def assert_same_maps(path, network, manifest):
    image = np.random.default_rng(2).normal(0, 1, (1, 3, 96, 128)).astype(np.float32)
    with OnnxRuntimeBackend(open_model(path), threads=1) as engine:
        found = engine.infer({manifest.input.name: image})
    with torch.no_grad():
        expected = network.deploy(network(torch.from_numpy(image)))
    for output, values in zip(manifest.outputs, expected, strict=True):
        tolerance = 1e-3 * max(float(values.abs().max()), 1e-3)
        np.testing.assert_allclose(found[output.name], values, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["edgecount-n", "centernet"])
def test_folding_leaves_no_batch_norm_and_the_same_function(name):
    torch.manual_seed(0)
    network = build_model(name)
    with torch.no_grad():
        network.train()(torch.randn(2, 3, 64, 64))
        network.eval()
        folded = fold_batch_norm(network)
        image = torch.randn(1, 3, 64, 64)
        before, after = network.deploy(network(image)), folded.deploy(folded(image))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4)
