"""The Scale Focus Module against its equations, computed by hand."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.train.models.focus import ChannelFocus, ScaleFocus, SpatialFocus  # noqa: E402

ORDERS = ("channel-spatial", "spatial-channel", "parallel-average", "parallel-conv")


@pytest.fixture
def features():
    torch.manual_seed(0)
    return torch.randn(2, 8, 5, 6)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def channel_focus(f, w1, w2):
    """Eq. 1 to 3 in NumPy."""
    z = f.mean((2, 3))
    s = _sigmoid(np.maximum(z @ w1.T, 0) @ w2.T)
    return f * s[:, :, None, None]


def spatial_focus(f, kernel, bias):
    """Eq. 4 and 5 in NumPy, one place after the other."""
    m = np.pad(f.mean(1), ((0, 0), (3, 3), (3, 3)))
    out = np.empty_like(f)
    for y in range(f.shape[2]):
        for x in range(f.shape[3]):
            response = (m[:, y : y + 7, x : x + 7] * kernel).sum((1, 2)) + bias
            out[:, :, y, x] = f[:, :, y, x] * _sigmoid(response)[:, None]
    return out


def _references(focus):
    w1 = focus.channel.reduce.weight.detach().numpy()[:, :, 0, 0]
    w2 = focus.channel.increase.weight.detach().numpy()[:, :, 0, 0]
    kernel = focus.spatial.convolution.weight.detach().numpy()[0, 0]
    bias = focus.spatial.convolution.bias.item()
    return (lambda f: channel_focus(f, w1, w2)), (lambda f: spatial_focus(f, kernel, bias))


def test_channel_weights_worked_by_hand():
    focus = ChannelFocus(2, reduction=2)
    focus.reduce.weight.data = torch.tensor([1.0, 1.0]).reshape(1, 2, 1, 1)
    focus.increase.weight.data = torch.tensor([0.5, -0.5]).reshape(2, 1, 1, 1)
    features = torch.tensor([[[[1.0, 3.0]], [[0.0, 4.0]]]])  # means 2 and 2: hidden 4
    with torch.no_grad():
        out = focus(features)
    gains = _sigmoid(np.array([2.0, -2.0]))
    assert out[0, 0, 0].tolist() == pytest.approx([gains[0], 3 * gains[0]])
    assert out[0, 1, 0].tolist() == pytest.approx([0.0, 4 * gains[1]])


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_follows_the_equations(features, order):
    focus = ScaleFocus(8, reduction=4, order=order)
    channel, spatial = _references(focus)
    f = features.numpy()
    if order == "channel-spatial":
        expected = spatial(channel(f))
    elif order == "spatial-channel":
        expected = channel(spatial(f))
    elif order == "parallel-average":
        expected = (channel(f) + spatial(f)) / 2
    else:
        w = focus.merge.weight.detach().numpy()[:, :, 0, 0]
        both = np.concatenate([channel(f), spatial(f)], axis=1)
        expected = np.einsum("oc,bchw->bohw", w, both)
        expected += focus.merge.bias.detach().numpy()[:, None, None]
    with torch.no_grad():
        np.testing.assert_allclose(focus(features).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_a_part_alone_works_the_same_in_every_order(features, order):
    channel = ScaleFocus(8, reduction=4, order=order, spatial=False)
    spatial = ScaleFocus(8, reduction=4, order=order, channel=False)
    with torch.no_grad():
        torch.testing.assert_close(channel(features), channel.channel(features))
        torch.testing.assert_close(spatial(features), spatial.spatial(features))
    none = ScaleFocus(8, order=order, channel=False, spatial=False)
    assert list(none.parameters()) == []
    torch.testing.assert_close(none(features), features)


def test_the_spatial_weight_is_the_same_for_each_channel(features):
    with torch.no_grad():
        ratio = SpatialFocus(8)(features) / features
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))


@pytest.mark.parametrize(("channels", "hidden"), [(512, 8), (128, 2), (24, 1)])
def test_one_hidden_unit_is_kept_where_there_are_few_channels(channels, hidden):
    focus = ChannelFocus(channels)
    assert focus.reduce.weight.shape == (hidden, channels, 1, 1)
    assert focus.increase.weight.shape == (channels, hidden, 1, 1)


def test_the_fixed_average_is_not_a_weight():
    focus = SpatialFocus(8)
    assert sorted(focus.state_dict()) == ["convolution.bias", "convolution.weight"]
