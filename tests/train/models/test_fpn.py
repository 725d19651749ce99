"""The feature pyramid: what each level is made of."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import conv2d  # noqa: E402

from edgecount.train.models.fpn import FeaturePyramid  # noqa: E402

CHANNELS = {4: 3, 8: 4, 16: 5, 32: 6}


def taps():
    torch.manual_seed(0)
    return {s: torch.randn(1, c, 128 // s, 128 // s) for s, c in CHANNELS.items()}


@pytest.mark.parametrize("coarse", ["backbone", "pyramid"])
def test_levels_are_sums_of_laterals_from_above(coarse):
    given = taps()
    pyramid = FeaturePyramid(CHANNELS, 7, (8, 16, 32, 64, 128), coarse)
    levels = pyramid(given)
    assert [tuple(level.shape) for level in levels] == [(1, 7, n, n) for n in (16, 8, 4, 2, 1)]

    def lateral(stride):
        layer = pyramid.lateral[str(stride)]
        return conv2d(given[stride], layer.weight, layer.bias)

    def enlarge(x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def smooth(x, layer, stride=1):
        return conv2d(x, layer.weight, layer.bias, stride, 1)

    m5 = lateral(32)
    m4 = lateral(16) + enlarge(m5)
    m3 = lateral(8) + enlarge(m4)
    p5 = smooth(m5, pyramid.smooth["32"])
    p6 = smooth(given[32] if coarse == "backbone" else p5, pyramid.down["64"], 2)
    p7 = smooth(p6.clamp_min(0), pyramid.down["128"], 2)
    expected = (smooth(m3, pyramid.smooth["8"]), smooth(m4, pyramid.smooth["16"]), p5, p6, p7)
    for got, wanted in zip(levels, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_short_pyramid_still_sees_the_coarsest_map():
    pyramid = FeaturePyramid(CHANNELS, 7, (4, 8))
    given = taps()
    before = pyramid(given)
    given[32] = given[32] + 1.0
    assert all(not torch.equal(a, b) for a, b in zip(before, pyramid(given), strict=True))
    assert set(pyramid.smooth) == {"4", "8"}  # no weight without a gradient
