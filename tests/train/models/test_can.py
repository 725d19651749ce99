"""CAN: the context block by hand, its parameters, and its export for images of any size."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.manifest import Manifest  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.base import Maps  # noqa: E402
from edgecount.train.models.can import CANNet, Context, block_means  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = build_model("cannet").eval()
    for layer in made.modules():  # Gaussians of 0.01 through 20 layers leave nothing to compare
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    return made


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 4), (6, 6), (7, 13)])
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_block_means_are_adaptive_pooling(shape, size):
    torch.manual_seed(1)
    features = torch.randn(2, 3, *shape, dtype=torch.float64)
    expected = torch.nn.functional.adaptive_avg_pool2d(features, size)
    torch.testing.assert_close(block_means(features, size), expected)


def interpolated(blocks, length):
    """Bilinear interpolation of (k, k) to (length, length), weight by weight."""
    k = len(blocks)
    weights = np.zeros((length, k))
    for i in range(length):
        place = min(max((i + 0.5) * k / length - 0.5, 0), k - 1)
        low = int(place)
        weights[i, low] += 1 - (place - low)
        weights[i, min(low + 1, k - 1)] += place - low
    return weights @ blocks @ weights.T


def test_the_context_block_is_that_of_the_equations():
    torch.manual_seed(2)
    block = Context(2).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    side = 6
    features = torch.randn(1, 2, side, side, dtype=torch.float64)
    f = features[0].numpy()
    total, weights = np.zeros_like(f), np.zeros_like(f)
    for size, mix in zip((1, 2, 3, 6), block.scales, strict=True):
        cells = side // size
        blocks = f.reshape(2, size, cells, size, cells).mean((2, 4))
        blocks = np.einsum("oi,ihw->ohw", mix.weight[:, :, 0, 0].detach().numpy(), blocks)
        s = np.stack([interpolated(channel, side) for channel in blocks])
        w = np.einsum("oi,ihw->ohw", block.weigh.weight[:, :, 0, 0].detach().numpy(), f - s)
        w = 1 / (1 + np.exp(-(w + block.weigh.bias.detach().numpy()[:, None, None])))
        total, weights = total + w * s, weights + w
    both = np.concatenate([total / weights, f])
    joined = np.einsum("oi,ihw->ohw", block.join.weight[:, :, 0, 0].detach().numpy(), both)
    expected = np.maximum(joined + block.join.bias.detach().numpy()[:, None, None], 0)
    np.testing.assert_allclose(block(features)[0].detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("contrast", [-1e4, -200.0, 200.0])
def test_equal_weights_are_a_mean_however_small_they_are(contrast):
    block = Context(2)
    torch.nn.init.zeros_(block.weigh.weight)
    torch.nn.init.constant_(block.weigh.bias, contrast)
    for layer in (*block.scales, block.join):
        torch.nn.init.ones_(layer.weight)
    # Features that are the same everywhere: of 3 and 1 every context is 4.
    features = torch.tensor([3.0, 1.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 5)
    torch.testing.assert_close(block(features), torch.full((1, 2, 4, 5), 4.0 + 4.0 + 3.0 + 1.0))


def test_parameters_are_those_of_the_authors_code(network):
    vgg = 7_635_264
    context = 4 * 512 * 512 + (512 * 512 + 512) + (1024 * 512 + 512)
    widths = [512, 512, 512, 512, 256, 128, 64]
    back_end = sum(9 * a * b + b for a, b in pairwise(widths)) + 64 + 1
    norms = 2 * sum(widths[1:])
    assert sum(p.numel() for p in network.parameters()) == vgg + context + back_end + norms
    assert sum(p.numel() for p in network.parameters()) == 18_103_489
    plain = build_model("cannet", {"batch_norm": False})
    assert sum(p.numel() for p in plain.parameters()) == 18_103_489 - norms


@pytest.mark.parametrize(("height", "width"), [(16, 24), (64, 56), (104, 48)])
def test_a_density_at_stride_8(network, height, width):
    with torch.no_grad():
        (density,) = network.deploy(network(torch.randn(2, 3, height, width)))
    assert density.shape == (2, 1, height // 8, width // 8)
    assert (density >= 0).all()


class Small(CANNet):
    """CAN with 8 channels, which is exported in a second."""

    def __init__(self):
        super(CANNet, self).__init__()
        layer = torch.nn.Conv2d
        self.features = torch.nn.Sequential(layer(3, 8, 8, stride=8), torch.nn.ReLU())
        self.context = Context(8)
        self.counting = torch.nn.Sequential(
            layer(8, 4, 3, padding=1), torch.nn.ReLU(), layer(4, 1, 1)
        )

    def forward(self, image):
        return Maps(self.counting(self.context(self.features(image))))


def assert_exported_alike(network, folder):
    """Compare the exported file with the network at sizes that the export has not seen."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from edgecount.export.source.from_torch import export_onnx

    path = folder / "can.onnx"
    export_onnx(network, Manifest("cannet", "1", "", network.input, network.outputs), path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    # Smaller than six cells, whole blocks, and blocks that overlap.
    for batch, height, width in ((1, 16, 40), (2, 48, 96), (1, 136, 104)):
        image = np.random.default_rng(height).normal(size=(batch, 3, height, width))
        image = image.astype(np.float32)
        with torch.no_grad():
            (expected,) = network.deploy(network(torch.from_numpy(image)))
        (got,) = session.run(None, {"image": image})
        assert expected.max() > 0
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-4 * float(expected.max()))
        counts = expected.sum((1, 2, 3)).numpy()
        np.testing.assert_allclose(got.sum((1, 2, 3)), counts, rtol=1e-4)


def test_the_exported_block_is_right_at_every_size(tmp_path):
    torch.manual_seed(3)
    network = Small().eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    torch.nn.init.ones_(network.counting[-1].bias)
    assert_exported_alike(network, tmp_path)


@pytest.mark.slow
def test_the_exported_file_counts_alike_at_every_size(network, tmp_path):
    assert_exported_alike(network, tmp_path)
