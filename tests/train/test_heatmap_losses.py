"""Heatmap losses with the hyper-parameters of a config, against the equations as printed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.data.sample import Crop  # noqa: E402
from edgecount.train.models.base import Maps  # noqa: E402
from edgecount.train.objectives.focal import HeatmapFocal  # noqa: E402
from edgecount.train.objectives.heatmap import HeatmapPart  # noqa: E402

SIDE, CELLS = 64, 16
POINTS = np.array([[18.0, 21.0], [30.0, 22.0], [45.0, 50.0]], np.float32)
BOXES = np.array([[8, 11, 28, 31], [20, 12, 40, 32], [40, 46, 50, 54]], np.float32)
CROP = Crop(np.zeros((SIDE, SIDE, 3), np.uint8), POINTS, np.full(3, 12, np.float32), BOXES)


def _part(name, *, focal=None, **options):
    return HeatmapPart(4, HeatmapFocal(name, **(focal or {})), 1.0, 0.1, **options)


def _targets(part):
    return {name: torch.from_numpy(v[None]) for name, v in part.targets(CROP).items()}


def _loss(part):
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(1, 1, CELLS, CELLS, generator=generator)
    targets = _targets(part)
    maps = Maps(heatmap_logits=logits)
    q = 1 / (1 + np.exp(-logits.double().numpy()))
    return part.losses(maps, targets)["heatmap"].item(), q, targets


def _focal_terms(q, positive, gamma, epsilon=0.0):
    e = np.where(positive, 1 - q, q)
    return -(e**gamma) * np.log(1 - e) + epsilon * e ** (gamma + 1)


@pytest.mark.parametrize(
    ("name", "focal", "beta", "gamma", "epsilon"),
    [
        ("L_h", {}, 4.0, 2.0, 0.0),
        ("L_h", {"beta": 2.0, "gamma": 3.0, "alpha": 0.5}, 2.0, 3.0, 0.0),
        ("poly-L_h", {}, 4.0, 2.0, 1.0),
        ("poly-L_h", {"beta": 1.5, "gamma": 1.0, "epsilon": 2.0}, 1.5, 1.0, 2.0),
    ],
)
def test_equations_3_and_5_on_the_gaussian_heatmap(name, focal, beta, gamma, epsilon):
    found, q, targets = _loss(_part(name, focal=focal))
    p = targets["heatmap"].double().numpy()
    weight = np.where(p == 1, 1.0, (1 - p) ** beta)
    expected = (weight * _focal_terms(q, p == 1, gamma, epsilon)).sum() / 3
    assert found == pytest.approx(focal.get("alpha", 1.0) * expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "focal", "gamma", "epsilon"),
    [
        ("L_f", {}, 2.0, 0.0),
        ("L_f", {"alpha": 0.25, "gamma": 1.0}, 1.0, 0.0),
        ("poly-L_f", {"epsilon": 0.5}, 2.0, 0.5),
    ],
)
def test_equations_2_and_5_on_the_binary_map_of_the_boxes(name, focal, gamma, epsilon):
    found, q, targets = _loss(_part(name, focal=focal))
    inside = targets["mask"].numpy() == 1
    expected = _focal_terms(q, inside, gamma, epsilon).sum() / inside.sum()
    assert found == pytest.approx(focal.get("alpha", 1.0) * expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "focal", "beta", "gamma"),
    [
        ("L_m", {}, 0.25, 4.0),
        ("L_m", {"beta": 1.0, "gamma": 3.0}, 1.0, 3.0),
        ("poly-L_m", {}, 0.5, 4.0),
        ("poly-L_m", {"beta": 0.75, "gamma": 5.0, "epsilon": 3.0}, 0.75, 5.0),
        ("poly-L_m", {"beta_weighs": "both"}, 0.5, 4.0),
    ],
)
def test_equations_6_and_7_on_the_gaussians_inside_the_boxes(name, focal, beta, gamma):
    found, q, targets = _loss(_part(name, focal=focal))
    p, inside = targets["heatmap"].double().numpy(), targets["mask"].numpy() == 1
    np.testing.assert_array_equal(inside, p > 0)
    d = np.where(inside, abs(p - q), q)
    weight = np.where(inside, p**beta, 1.0)
    log_part = -(d**gamma) * np.log(1 - d)
    if name == "L_m":
        terms = weight * log_part
    else:
        added = focal.get("epsilon", 1.0) * d ** (gamma + 1)
        both = focal.get("beta_weighs") == "both"
        terms = weight * (log_part + added) if both else log_part + weight * added
    assert found == pytest.approx(terms.sum() / 3, rel=1e-5)


def test_eta_and_epsilon_of_equation_10_spread_the_gaussians():
    part = _part("L_h", eta=30.0, sigma_epsilon=9.0)
    heatmap = _targets(part)["heatmap"][0, 0].numpy()
    # the third box is 2.5 x 2 cells; its head is in column 11, row 12
    d = 2 * 2 + 1
    sigma = d * (1 + 30 * np.exp(-d)) / 9
    assert heatmap[12, 12] == pytest.approx(np.exp(-1 / (2 * sigma**2)), rel=1e-5)


def test_overlapping_gaussians_may_be_summed_up_to_1():
    joined = _targets(_part("L_m", overlap="sum"))["heatmap"][0, 0].numpy()
    larger = _targets(_part("L_m"))["heatmap"][0, 0].numpy()
    alone = np.zeros_like(joined)
    for index in range(3):
        one = Crop(CROP.image, POINTS[[index]], CROP.sizes[[index]], BOXES[[index]])
        alone += _part("L_m").targets(one)["heatmap"][0]
    np.testing.assert_allclose(joined, np.minimum(alone, 1.0), rtol=1e-6)
    assert (joined > larger + 0.01).any()
    assert joined.max() == 1.0


@pytest.mark.parametrize(
    ("name", "focal", "options", "message"),
    [
        ("L_h", {"gamma": -1.0}, {}, r"objective.gamma: expected 0 or more, got -1"),
        ("L_h", {"alpha": 0.0}, {}, r"objective.alpha: expected a number above 0"),
        ("L_f", {"beta": 4.0}, {}, r"objective.beta: L_f has none; it takes alpha, gamma"),
        ("L_m", {"epsilon": 1.0}, {}, r"objective.epsilon: L_m has none"),
        ("poly-L_h", {"beta_weighs": "both"}, {}, r"objective.beta_weighs: poly-L_h has none"),
        ("L_h", {}, {"sigma_epsilon": 0.0}, r"objective.sigma_epsilon: expected a number above 0"),
        ("L_h", {}, {"eta": -1.0}, r"objective.eta: expected 0 or more"),
    ],
)
def test_wrong_values_are_refused_in_one_line(name, focal, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        _part(name, focal=focal, **options)
    assert "\n" not in str(caught.value)
