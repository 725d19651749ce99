"""The depthwise gradients of CPU training in bfloat16 are those of the convolution."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.models.depthwise import DepthwiseConv2d  # noqa: E402

CASES = [(3, 1, 9, 7), (3, 2, 9, 7), (3, 2, 8, 8), (5, 1, 6, 9), (5, 2, 11, 8), (3, 2, 1, 1)]


def gradients(layer, image, weights):
    layer.zero_grad()
    image = image.clone().requires_grad_()
    out = layer(image)
    (out.float() * weights).sum().backward()
    of_parameters = [parameter.grad.float() for parameter in layer.parameters()]
    return [out.detach().float(), image.grad.float(), *of_parameters]


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "height", "width"), CASES)
def test_the_same_as_in_float32(kernel, stride, height, width, with_bias):
    torch.manual_seed(0)
    layer = DepthwiseConv2d(6, kernel, stride)
    if with_bias:
        layer.bias = torch.nn.Parameter(torch.randint(-4, 5, (6,)) / 4)
    # values that bfloat16 holds exactly, so that only the sums round
    with torch.no_grad():
        layer.weight.copy_(torch.randint(-4, 5, layer.weight.shape) / 4)
    image = torch.randint(-4, 5, (2, 6, height, width)) / 4
    shape = layer(image).shape
    weights = torch.randint(-4, 5, shape) / 4
    expected = gradients(layer.eval(), image, weights)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(layer.train(), image, weights)
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=2**-7, atol=2**-7)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_same_as_in_float32_with_other_padding(kernel, stride, padding):
    torch.manual_seed(2)
    layer = DepthwiseConv2d(3, kernel, stride, padding=padding)
    with torch.no_grad():
        layer.weight.copy_(torch.randint(-4, 5, layer.weight.shape) / 4)
    for height, width in ((12, 9), (11, 10), (5, 8)):
        image = torch.randint(-4, 5, (2, 3, height, width)) / 4
        weights = torch.randint(-4, 5, layer(image).shape) / 4
        expected = gradients(layer.eval(), image, weights)
        with torch.autocast("cpu", torch.bfloat16):
            found = gradients(layer.train(), image, weights)
        for got, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(got, wanted, rtol=2**-7, atol=2**-7)


def test_it_is_a_plain_convolution_elsewhere():
    torch.manual_seed(1)
    layer = DepthwiseConv2d(4, 3, 2)
    image = torch.randn(1, 4, 8, 8)
    expected = torch.nn.functional.conv2d(image, layer.weight, None, 2, 1, 1, 4)
    assert torch.equal(layer.train()(image), expected)
    assert torch.equal(layer.eval()(image), expected)


def test_a_bias_is_added_and_the_fast_gradients_stay():
    layer = DepthwiseConv2d(4, 3)
    layer.bias = torch.nn.Parameter(torch.full((4,), 3.0))
    image = torch.zeros(1, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer.train()(image)
    assert torch.equal(out.float(), torch.full((1, 4, 8, 8), 3.0))
    assert type(out.grad_fn).__name__ == "_DepthwiseBackward"


def test_no_gradient_where_none_is_asked_for():
    layer = DepthwiseConv2d(4, 5, 2)
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(1, 4, 8, 8)).sum().backward()
    assert layer.weight.grad is not None
    layer.weight.requires_grad_(False)
    image = torch.randn(1, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        layer(image).sum().backward()
    assert image.grad is not None
