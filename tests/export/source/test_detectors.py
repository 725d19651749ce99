"""Detectors export to files that give the boxes of their networks."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from edgecount import EdgeCounter  # noqa: E402
from edgecount.export.source.from_torch import export_onnx  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.evaluate.torch_backend import counter_for  # noqa: E402
from edgecount.train.manifest import manifest_of  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402

LIGHT = {"backbone": "mobilenet_v2", "width": 0.25, "channels": 16, "depth": 1, "norm": "batch"}
CASES = {
    "retinanet": LIGHT | {"levels": [4, 8, 16], "anchor_size": 2.0, "ratios": [0.8, 1.25]},
    "fcos": LIGHT | {"levels": [8, 16, 32, 64], "norm": "group"},
    "foveabox": LIGHT | {"levels": [4, 8, 16, 32], "base_size": 2.0},
    "yolov5": {"size": "n", "anchors": "heads"},
}


def varied(name):
    """Return a network whose scores and boxes differ from cell to cell, as a trained one's do."""
    torch.manual_seed(0)
    network = build_model(name, CASES[name])
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        network.train()(torch.randn(4, 3, 128, 128))
        network.eval()
        heads = [m for n, m in network.named_modules() if n in ("score", "box", "centerness")]
        maps = network(torch.randn(1, 3, 128, 128)).levels
        logits = torch.cat([level.logits.flatten() for level in maps])
        boxes = torch.cat([level.boxes.flatten() for level in maps])
        if name == "yolov5":
            for head in network.heads:
                head.weight[: network.anchors].mul_(2.0 / logits.std())
                head.weight[network.anchors :].mul_(0.5 / boxes.std())
                head.bias[: network.anchors].fill_(-1.0)
        for head in heads:
            head.weight.mul_(0.3 / (boxes if head is network.box else logits).std())
            head.bias.fill_(0.0)
    return network


@pytest.mark.parametrize(
    "name",
    ["retinanet", *(pytest.param(n, marks=pytest.mark.slow) for n in CASES if n != "retinanet")],
)
def test_a_file_finds_the_boxes_of_its_network(name, tmp_path):
    network = varied(name)
    settings = {
        "model": {"name": name, **CASES[name]},
        "objective": "detection",
        "data": [{"reader": "blank"}],
    }
    state = {"config": config_to_dict(config_from_dict(settings)), "step": 1}
    manifest = manifest_of(network, state)
    assert manifest.description == "Counts people by head boxes."
    path = tmp_path / "model.onnx"
    export_onnx(network, manifest, path)  # which compares the outputs at two sizes itself
    graph = onnx.load(path).graph
    assert not {"GatherND", "ScatterND", "NonMaxSuppression"} & {n.op_type for n in graph.node}
    image = np.random.default_rng(1).integers(0, 256, (150, 190, 3), dtype=np.uint8)
    # the runtime's kernel finds boxes in the maps of both
    with counter_for(network, manifest) as trained:
        scores = np.sort(trained.count(image).points[:, 2])
        threshold = float((scores[-8] + scores[-9]) / 2) if len(scores) > 8 else 0.4
    with (
        EdgeCounter(path, threshold=threshold) as exported,
        counter_for(network, manifest, threshold=threshold) as trained,
    ):
        one, other = exported.count(image), trained.count(image)
    assert one.boxes is not None
    assert one.count == other.count == len(one.boxes) > 0
    np.testing.assert_allclose(one.boxes, other.boxes, atol=0.05)
    np.testing.assert_allclose(one.points, other.points, atol=0.05)
