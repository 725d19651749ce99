"""ResNet-50: torchvision's names and shapes, and a bottleneck by hand."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import conv2d  # noqa: E402

from edgecount.train.models.resnet import Bottleneck, ResNet50  # noqa: E402


def test_names_and_shapes_are_torchvisions():
    with torch.device("meta"):
        network = ResNet50()
        taps = network(torch.zeros(1, 3, 64, 96))
    state = network.state_dict()
    # 25,557,032 with the classifier of 2048 x 1000 + 1000
    assert sum(p.numel() for p in network.parameters()) == 25_557_032 - 2_049_000
    assert len(state) == 320 - 2
    assert state["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert state["layer2.0.conv2.weight"].shape == (128, 128, 3, 3)
    assert state["layer3.5.bn3.running_var"].shape == (1024,)
    assert state["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    shapes = {stride: tuple(tap.shape[1:]) for stride, tap in taps.items()}
    assert shapes == {4: (256, 16, 24), 8: (512, 8, 12), 16: (1024, 4, 6), 32: (2048, 2, 3)}


def test_a_bottleneck_strides_in_its_3x3_convolution():
    torch.manual_seed(0)
    block = Bottleneck(8, 4, 2).eval()
    for name, buffer in block.named_buffers():
        if name.endswith("running_mean"):
            torch.nn.init.normal_(buffer)
    x = torch.randn(1, 8, 6, 6)

    def norm(values, layer):
        scale = (layer.weight / (layer.running_var + layer.eps).sqrt())[:, None, None]
        return (values - layer.running_mean[:, None, None]) * scale + layer.bias[:, None, None]

    inner = norm(conv2d(x, block.conv1.weight), block.bn1).clamp_min(0)
    inner = norm(conv2d(inner, block.conv2.weight, stride=2, padding=1), block.bn2).clamp_min(0)
    inner = norm(conv2d(inner, block.conv3.weight), block.bn3)
    convolution, bn = block.downsample
    shortcut = norm(conv2d(x[:, :, ::2, ::2], convolution.weight), bn)
    torch.testing.assert_close(block(x), (inner + shortcut).clamp_min(0), rtol=1e-4, atol=1e-5)
