"""The edge network: shapes, size, and weights that survive their new batch norms."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError, ModelError  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.mobilenet_v2 import MobileNetV2  # noqa: E402
from edgecount.train.models.weights import load_backbone, restore_batch_norm  # noqa: E402


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return MobileNetV2().eval()


def test_shapes_and_parameters():
    network = build_model("edgecount-s").eval()
    assert sum(p.numel() for p in network.parameters()) <= 2_000_000
    with torch.no_grad():
        maps = network(torch.zeros(2, 3, 64, 96))
    assert maps.density.shape == (2, 1, 8, 12)
    assert maps.heatmap_logits.shape == (2, 1, 16, 24)
    assert maps.offset.shape == (2, 2, 16, 24)
    assert maps.density.min() > 0
    assert 0 <= maps.offset.min() <= maps.offset.max() <= 1


def test_a_density_in_cells_of_4_px():
    network = build_model("edgecount-n", {"density_stride": 4}).eval()
    assert [one.stride for one in network.outputs] == [4, 4, 4]
    with torch.no_grad():
        maps = network(torch.zeros(2, 3, 64, 96))
    assert maps.density.shape == maps.heatmap_logits.shape == (2, 1, 16, 24)
    for options in ({"heatmap": False}, {"recalibration": True}):
        with pytest.raises(ConfigError, match="density_stride: expected 8 with recalibration or"):
            build_model("edgecount-n", {"density_stride": 4, **options})
    with pytest.raises(ConfigError, match="density_stride"):
        build_model("edgecount-n", {"density_stride": 16})


def test_unknown_network():
    with pytest.raises(ConfigError, match=r"expected one of cannet, .*, got 'edgecount-xl'"):
        build_model("edgecount-xl")


@pytest.mark.parametrize("stride", [8, 4])
def test_every_weight_gets_a_gradient(stride):
    network = build_model("edgecount-s", {"density_stride": stride}).train()
    maps = network(torch.randn(2, 3, 64, 64))
    (maps.density.sum() + maps.heatmap_logits.sum() + maps.offset.sum()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []


def test_measured_batch_norms_leave_the_function_as_it_was(backbone):
    images = [torch.randn(2, 3, 64, 64) for _ in range(3)]
    with torch.no_grad():
        before = backbone(images[0])
        restore_batch_norm(backbone, images)
        after = backbone(images[0])
    for stride, features in before.items():
        torch.testing.assert_close(after[stride], features, rtol=1e-3, atol=1e-4)
    norm = backbone.features[0][1]
    assert norm.running_var.mean() != pytest.approx(1.0, abs=0.05)


def test_backbone_from_a_file(backbone, tmp_path):
    path = tmp_path / "weights.npz"
    arrays = {name: value.numpy() for name, value in backbone.state_dict().items()}
    np.savez(path, **arrays, **{"classifier.1.weight": np.zeros(3)})
    other = MobileNetV2().eval()
    load_backbone(other, path)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(other(image)[32], backbone(image)[32])


def test_weights_that_do_not_fit(backbone, tmp_path):
    path = tmp_path / "weights.npz"
    with pytest.raises(ModelError, match="there is no file"):
        load_backbone(backbone, path)
    path.write_text("nonsense")
    with pytest.raises(ModelError, match="cannot read"):
        load_backbone(backbone, path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(
        ModelError, match=r"lacks 240 of 240 arrays, first 'features\.0\.0\.weight'"
    ):
        load_backbone(backbone, path)
