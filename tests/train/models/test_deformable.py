"""Deformable convolution against an ordinary one and against a plain reference."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.train.models.deformable import DeformableConv2d  # noqa: E402

F = torch.nn.functional


def bilinear(plane, x, y):
    """Return a plane's value at cell coordinates, 0 outside."""
    left, top = math.floor(x), math.floor(y)
    value = 0.0
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
            value += (1 - abs(x - column)) * (1 - abs(y - row)) * plane[row, column]
    return value


def reference(x, moves, weight, bias):
    """Equation 1 of the paper, cell by cell; (C, h, w), (27, h, w) -> (C', h, w)."""
    channels, height, width = x.shape
    out = np.tile(bias[:, None, None], (1, height, width)).astype(float)
    modulation = 2 / (1 + np.exp(-moves[18:]))
    for row, column, tap in np.ndindex(height, width, 9):
        at_x = column + tap % 3 - 1 + moves[2 * tap, row, column]
        at_y = row + tap // 3 - 1 + moves[2 * tap + 1, row, column]
        for channel in range(channels):
            value = bilinear(x[channel], at_x, at_y) * modulation[tap, row, column]
            out[:, row, column] += weight[:, channel, tap // 3, tap % 3] * value
    return out


def test_at_the_start_it_is_the_ordinary_convolution_of_its_weights():
    torch.manual_seed(0)
    layer = DeformableConv2d(3, 5)
    x = torch.randn(2, 3, 7, 6)
    expected = F.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_moved_and_weighed_taps_agree_with_the_reference():
    torch.manual_seed(1)
    layer = DeformableConv2d(2, 3)
    torch.nn.init.normal_(layer.moves.weight, std=0.5)
    torch.nn.init.normal_(layer.moves.bias, std=1.5)
    x = torch.randn(1, 2, 5, 6)
    with torch.no_grad():
        moves, out = layer.moves(x), layer(x)
        parts = (value.double().numpy() for value in (x[0], moves[0], layer.weight, layer.bias))
        expected = reference(*parts)
    assert moves[:, :18].abs().max() > 3  # some taps leave the map
    np.testing.assert_allclose(out[0].numpy(), expected, rtol=1e-4, atol=1e-4)


def test_an_offset_of_one_cell_reads_the_neighbour():
    layer = DeformableConv2d(1, 1)
    torch.nn.init.zeros_(layer.bias)
    layer.weight.data = torch.zeros(1, 1, 3, 3)
    layer.weight.data[0, 0, 1, 1] = 1.0
    layer.moves.bias.data[2 * 4] = 1.0  # dx of the centre tap
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    expected = F.pad(x, (0, 1))[..., 1:]
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-4)


def test_modulation_weighs_a_tap_between_nothing_and_twice():
    layer = DeformableConv2d(1, 1)
    torch.nn.init.zeros_(layer.bias)
    x = torch.rand(1, 1, 4, 4)
    plain = F.conv2d(x, layer.weight, padding=1)
    layer.moves.bias.data[18:] = -50.0
    torch.testing.assert_close(layer(x), torch.zeros_like(x))
    layer.moves.bias.data[18:] = 50.0
    torch.testing.assert_close(layer(x), 2 * plain, rtol=1e-4, atol=1e-5)


def test_half_precision_reads_the_right_cells_of_a_wide_map():
    # bfloat16 holds whole numbers up to 256 only
    torch.manual_seed(0)
    layer = DeformableConv2d(1, 1).bfloat16()
    x = torch.randn(1, 1, 2, 600).bfloat16()
    expected = F.conv2d(x.float(), layer.weight.float(), layer.bias.float(), padding=1)
    torch.testing.assert_close(layer(x).float(), expected, rtol=0.03, atol=0.03)


def test_offsets_and_modulation_learn_from_the_first_step():
    torch.manual_seed(0)
    layer = DeformableConv2d(2, 2)
    layer(torch.randn(1, 2, 6, 6)).square().sum().backward()
    gradient = layer.moves.bias.grad
    assert (gradient != 0).all()
    assert (layer.weight.grad != 0).all()


def test_a_layer_works_in_float64():
    torch.manual_seed(5)
    layer = DeformableConv2d(3, 4)
    with torch.no_grad():
        layer.moves.weight.normal_(0, 0.1)
        x = torch.randn(1, 3, 9, 7)
        exact = layer.double()(x.double())
        assert exact.dtype == torch.float64
        torch.testing.assert_close(layer.float()(x), exact.float(), rtol=1e-4, atol=1e-5)
