"""The scales of a density beside the true ones."""

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


import torch

from edgecount.manifest import Manifest
from edgecount.train.evaluate.torch_backend import counter_for
from edgecount.train.models import build_model
from edgecount.train.report.scales import scale_maps
from edgecount.train.targets.density import density_map
from reported import annotated, report


def test_scales_stand_beside_the_true_pyramid(tmp_path):
    torch.manual_seed(0)
    network = build_model("hsrnet", {"width": 0.1}).eval()
    sample = annotated(tmp_path, "i", [[9 + 7 * n, 30] for n in range(5)])
    found = scale_maps(network, sample)
    assert [title for title, _, _ in found] == ["density", *(f"scale {i}" for i in range(1, 6))]
    density = density_map(sample.points, 64, 64)
    for (_, truth, _), window in zip(found, (1, 1, 2, 4, 8, 16), strict=True):
        cells = 64 // window
        means = density.reshape(cells, window, cells, window).mean((1, 3))
        # at the middle of a square of four windows it is their mean
        for row, column in ((1, 1), (cells // 2, cells // 2)):
            place = truth[
                row * window - 1 : row * window + 1, column * window - 1 : column * window + 1
            ]
            around = means[row - 1 : row + 1, column - 1 : column + 1]
            if window > 1:
                assert place.mean() == pytest.approx(around.mean(), rel=1e-4, abs=1e-9)
        assert truth.sum() == pytest.approx(5.0, rel=1e-4)
    pixels = (
        torch.full((1, 3, 64, 64), 120.0) - torch.tensor(network.input.mean)[:, None, None]
    ) * (torch.tensor(network.input.scale)[:, None, None])
    with torch.no_grad():
        maps = network(pixels)
    np.testing.assert_allclose(found[0][2], maps.density[0, 0], atol=1e-6)
    np.testing.assert_allclose(found[5][2], maps.auxiliary["scales"][4][0, 0], atol=1e-6)
    manifest = Manifest("h", "1", "a density", input=network.input, outputs=network.outputs)
    with counter_for(network, manifest) as counter:
        page, text = report(tmp_path, counter, {"one": [sample]})
    assert cv2.imread(str(page.parent / "1-one-scales.png")) is not None
    assert "<h3>Scales</h3>" in text
