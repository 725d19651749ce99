"""MCNN: its shape, its size, and trained weights of another code base."""

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.train.models.base import Maps  # noqa: E402
from edgecount.train.models.mcnn import MCNN  # noqa: E402
from edgecount.train.models.weights import load_by_order  # noqa: E402

DATA = Path(os.environ.get("EDGECOUNT_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MCNN().eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (36, 60)])
def test_the_density_has_stride_4(network, height, width):
    with torch.no_grad():
        maps = network(torch.rand(2, 3, height, width) * 255)
    assert maps.density.shape == (2, 1, height // 4, width // 4)
    assert [(o.role, o.stride) for o in network.outputs] == [("density", 4)]


def test_it_has_the_published_0_13_million_weights(network):
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(0.13, abs=0.005)


def test_it_sees_the_luminance_alone(network):
    colour = torch.rand(1, 3, 16, 16) * 255
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    grey = (colour * weights).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    with torch.no_grad():
        torch.testing.assert_close(network(colour).density, network(grey).density)


def test_pixels_reach_it_as_they_are(network):
    assert network.input.mean == (0.0, 0.0, 0.0)
    assert network.input.scale == (1.0, 1.0, 1.0)


def test_a_start_below_0_still_learns(network):
    torch.nn.init.constant_(network.fuse.bias, -1.0)
    network(torch.rand(1, 3, 16, 16) * 255).density.square().sum().backward()
    assert network.fuse.bias.grad.item() < 0
    assert network.deploy(Maps(torch.tensor([[[[-1.0]]]])))[0].item() == 0.0


def test_a_start_for_relus_keeps_the_size_of_the_features():
    torch.manual_seed(0)
    network = MCNN(start="he")
    grey = torch.rand(1, 1, 64, 64) * 255
    for column in network.columns:
        features = column(grey).detach()
        assert 0.1 < float(features.square().mean().sqrt()) < 10
        assert float((features.amax((0, 2, 3)) > 0).float().mean()) > 0.5
    assert float(network.fuse.weight.detach().std()) == pytest.approx(0.01, rel=0.4)


def test_every_column_reaches_the_output(network):
    network(torch.rand(1, 3, 16, 16) * 255).density.sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "peers" / "mcnn").is_dir(), reason="no trained MCNN at hand")
def test_trained_weights_of_another_code_base_count_real_crowds(network):
    pytest.importorskip("h5py")
    pytest.importorskip("scipy")
    from edgecount.train.data.readers import read_samples
    from edgecount.train.engine import predict

    (path,) = (DATA / "peers" / "mcnn").glob("mcnn_shtechB*.h5")
    load_by_order(network, path)
    samples = read_samples("shanghaitech", DATA / "shanghaitech" / "part_B" / "train")[::20]
    with torch.no_grad():
        counts = np.array([predict(network, s.image())["density"].sum() for s in samples])
    true = np.array([len(s.points) for s in samples])
    # its authors report 26 on the test images; always predicting the mean gives 72
    assert np.abs(counts - true).mean() < 35
