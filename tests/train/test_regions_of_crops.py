"""Heads of cells outside of the annotated region: no loss, and no gradient."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.manifest import OutputSpec  # noqa: E402
from edgecount.train.data.sample import Crop  # noqa: E402
from edgecount.train.engine import System  # noqa: E402
from edgecount.train.models.base import Maps, Network  # noqa: E402
from edgecount.train.models.extent import limit_targets  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402

SIDE = 64
LEFT = torch.zeros(1, 1, SIDE, SIDE)
LEFT[..., :40] = 1.0  # 10 of 16 cells of 4 px, 5 of 8 cells of 8 px


class Painted(Network):
    """Maps that are its weights, all of one stride."""

    positive = True

    def __init__(self, *roles, stride=4, logit=-1.0):
        super().__init__()
        self.outputs = tuple(OutputSpec(role, role, stride) for role in roles)
        channels = {"density": 1, "heatmap": 1, "offset": 2, "size": 2}
        self.maps = torch.nn.ParameterDict(
            {
                role: torch.full(
                    (1, channels[role], SIDE // stride, SIDE // stride),
                    logit if role == "heatmap" else 0.3,
                )
                for role in roles
            }
        )

    def forward(self, image):
        given = dict(self.maps.items())
        return Maps(
            given.get("density"), given.get("heatmap"), given.get("offset"), given.get("size")
        )


def learned(network, objective, points):
    """Return the terms of the loss of heads of 12 px, and the gradient of each map."""
    points = np.array(points, np.float32).reshape(-1, 2)
    boxes = np.concatenate([points - 6, points + 6], 1)
    sizes = np.full(len(points), 12, np.float32)
    crop = Crop(np.zeros((SIDE, SIDE, 3), np.uint8), points, sizes, boxes)
    targets = {name: torch.from_numpy(v)[None] for name, v in objective.targets(crop).items()}
    network.zero_grad()
    images = torch.zeros(1, 3, SIDE, SIDE)
    terms = System(network, objective)(images, {**targets, "region": LEFT}, 0.0)
    sum(terms.values()).backward()
    gradients = {name: weights.grad.clone() for name, weights in network.maps.items()}
    return {name: float(value.detach()) for name, value in terms.items()}, gradients


def assert_learns_nothing_of_the_closed_head(network, objective, closed):
    without, expected = learned(network, objective, [[16, 16]])
    terms, gradients = learned(network, objective, [[16, 16], [62, 40]])
    assert terms == pytest.approx(without, rel=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name])
        assert float(gradient[..., closed:].abs().max()) == 0.0
        assert float(gradient.abs().max()) > 0.0


@pytest.mark.parametrize("loss", ["L_f", "L_h", "L_m", "poly-L_f", "poly-L_h", "poly-L_m"])
def test_a_head_in_a_closed_cell_of_a_heatmap_is_no_loss(loss):
    network = Painted("heatmap", "offset", "size")
    objective = build_objective("centernet", {"heatmap_loss": loss}, network)
    assert_learns_nothing_of_the_closed_head(network, objective, 10)


@pytest.mark.parametrize("loss", ["L_f", "poly-L_f"])
def test_the_part_of_a_box_in_closed_cells_is_no_loss(loss):
    # A box of 12 px around x = 38 px has three columns of cells, the last beyond the region, which
    # ends at 40 px. All open cells score right.
    network = Painted("heatmap")
    with torch.no_grad():
        network.maps["heatmap"][:] = -12.0
        network.maps["heatmap"][..., 2:6, 8:10] = 12.0
    objective = build_objective("centernet", {"heatmap_loss": loss}, network)
    terms, _ = learned(network, objective, [[38, 16]])
    assert terms["heatmap"] < 1e-4


@pytest.mark.parametrize("counts", ["poisson", "l1"])
def test_a_head_in_a_closed_block_is_no_loss(counts):
    network = Painted("density", stride=8)
    objective = build_objective("edge", {"counts": counts}, network)
    assert_learns_nothing_of_the_closed_head(network, objective, 5)


def test_a_kernel_or_a_cross_in_closed_cells_is_no_loss():
    network = Painted("density", "heatmap", stride=1)
    objective = build_objective("raznet", {"sigma": 3.0, "positive_weight": 9.0}, network)
    terms, gradients = learned(network, objective, [[62, 40]])
    without, expected = learned(network, objective, [])
    assert terms["density"] == pytest.approx(without["density"], rel=1e-6)
    torch.testing.assert_close(gradients, expected)


def test_targets_are_those_of_open_cells():
    given = {
        "heatmap": torch.ones(1, 1, 16, 16),
        "offset": torch.ones(1, 2, 16, 16),
        "counts": torch.ones(1, 1, 8, 8),
        "boxes": torch.ones(1, 3, 4),
    }
    strides = {"density": 8, "heatmap": 4}
    assert limit_targets(given, strides) == given
    limited = limit_targets({**given, "region": LEFT}, strides)
    assert limited["heatmap"].sum() == 16 * 10
    assert limited["offset"].sum() == 2 * 16 * 10
    assert limited["counts"].sum() == 8 * 5
    assert limited["boxes"].sum() == 12
    assert not limited["offset"][..., 10:].any()
