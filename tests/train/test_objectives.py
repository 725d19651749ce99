"""Objectives: targets that fit the maps, and a gradient for every weight."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.data.sample import Crop, Sample  # noqa: E402
from edgecount.train.engine import System  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.base import Maps  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402
from edgecount.train.targets.boxes import boxes_around  # noqa: E402

SIDE = 64
SMALL = {"width": 0.25, "channels": 16, "fine_channels": 8}
CASES = [
    ("edgecount-n", SMALL, "edge", {}),
    ("edgecount-n", SMALL, "edge", {"heatmap_loss": "L_m", "counts": "l1"}),
    ("edgecount-n", SMALL, "edge", {"counts": "negative_binomial", "dispersion": 0.05}),
    ("edgecount-n", SMALL, "edge", {"heatmap_loss": "poly-L_m"}),
    ("edgecount-n", SMALL, "edge", {"heatmap_loss": "L_f"}),
    ("edgecount-n", SMALL, "edge", {"heatmap_loss": "poly-L_f"}),
    ("edgecount-n", SMALL, "edge", {"heatmap_loss": "poly-L_h", "gamma": 3.0}),
    ("edgecount-n", SMALL | {"zero_inflated": True}, "edge", {"counts": "zip"}),
    (
        "edgecount-n",
        SMALL | {"recalibration": True, "focus": True},
        "edge",
        {"scale_consistency": 0.1},
    ),
    ("edgecount-n", SMALL | {"heatmap": False}, "density", {"loss": "bsl"}),
    ("mcnn", {}, "density", {"sigma": 4.0}),
    ("csrnet", {}, "density", {}),
    ("hsrnet", {}, "density", {"scale_consistency": 1.0}),
    ("hsrnet", {"recalibration": False}, "density", {}),
    ("centernet", {"head_channels": 16}, "centernet", {}),
    ("centernet", {"head_channels": 16}, "centernet", {"overlap": "sum", "gamma": 1, "beta": 0.3}),
    ("centernet", {"head_channels": 16, "up": "deformable"}, "centernet", {"heatmap_loss": "L_h"}),
    ("cfanet", {}, "cfanet", {}),
    ("cfanet", {"crr": False}, "cfanet", {}),
    ("cfanet", {"supervised_stages": 2}, "cfanet", {"squared_constants": True, "max_sigma": 25.0}),
    ("cannet", {}, "density", {"loss": "bsl"}),
    ("cfanet", {"dle": False}, "cfanet", {}),
    ("raznet", {}, "raznet", {}),
    ("raznet", {"localization": False}, "raznet", {}),
]


def crop(people):
    rng = np.random.default_rng(people)
    points = rng.uniform(0, SIDE, (people, 2)).astype(np.float32)
    sizes = rng.uniform(4, 20, people).astype(np.float32)
    image = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return Crop(image, points, sizes, boxes_around(points, sizes[:, None]))


@pytest.mark.parametrize(("name", "options", "objective", "settings"), CASES)
def test_every_weight_gets_a_finite_gradient(name, options, objective, settings):
    torch.manual_seed(0)
    network = build_model(name, options)
    made = build_objective(objective, settings, network)
    drawn = [made.targets(crop(people)) for people in (12, 0)]
    targets = {key: torch.from_numpy(np.stack([d[key] for d in drawn])) for key in drawn[0]}
    system = System(network, made).train()
    with torch.no_grad():  # Gaussian starts of 0.01 give gradients near the end of float32
        for parameter in network.parameters():
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    terms = system(torch.randn(2, 3, SIDE, SIDE), targets, 0.25)
    for term, value in terms.items():
        assert value.ndim == 0, term
        assert torch.isfinite(value), term
    torch.stack(list(terms.values())).sum().backward()
    without = [n for n, p in system.named_parameters() if p.grad is None]
    assert without == []  # several processes would wait for them
    assert all(bool(torch.isfinite(p.grad).all()) for p in system.parameters())


def test_the_terms_of_a_batch_are_the_mean_of_its_images():
    network = build_model("edgecount-n", SMALL).eval()
    made = build_objective("edge", {}, network)
    drawn = [made.targets(crop(people)) for people in (12, 3)]
    targets = {key: torch.from_numpy(np.stack([d[key] for d in drawn])) for key in drawn[0]}
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        whole = made.losses(network(images), targets, 0.0)
        parts = [
            made.losses(
                network(images[i : i + 1]), {k: v[i : i + 1] for k, v in targets.items()}, 0.0
            )
            for i in range(2)
        ]
    for term, value in whole.items():
        mean = (parts[0][term] + parts[1][term]) / 2
        torch.testing.assert_close(value, mean, rtol=1e-4, atol=1e-5)


def test_cfanet_takes_its_levels_from_the_training_set(tmp_path):
    import cv2

    network = build_model("cfanet")
    made = build_objective("cfanet", {}, network)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((SIDE, SIDE, 3), np.uint8))
    points = crop(20).points
    made.prepare([Sample(Path(path), points, np.full(20, 8, np.float32))])
    edges = made.edges.numpy()
    assert (np.diff(edges) > 0).all()
    levels = made.targets(Crop(np.zeros((SIDE, SIDE, 3), np.uint8), points, points, points))["fam"]
    shares = np.bincount(levels.astype(int).ravel(), minlength=6)[1:] / (levels > 0).sum()
    np.testing.assert_allclose(shares, 0.2, atol=0.05)
    restored = build_objective("cfanet", {}, network)
    restored.load_state_dict(made.state_dict())
    np.testing.assert_array_equal(restored.edges.numpy(), edges)


@pytest.mark.parametrize(
    ("name", "objective", "settings", "message"),
    [
        ("csrnet", "centernet", {}, "needs a network with a heatmap"),
        ("mcnn", "cfanet", {}, "needs the network cfanet"),
        ("csrnet", "nothing", {}, "objective: expected one of edge, density"),
        ("csrnet", "density", {"loss": "mae"}, "objective.loss: expected mse or bsl"),
        ("centernet", "edge", {}, "edge needs a network with a density above 0"),
        ("edgecount-n", "edge", {"heatmap_weight": 0}, "heatmap_weight: expected a number above 0"),
        ("edgecount-n", "edge", {"dispersion": 0}, "dispersion: expected a number above 0, got 0"),
        ("edgecount-n", "density", {}, "density leaves a heatmap untrained"),
        ("centernet", "raznet", {}, "heatmap at stride 1"),
        ("csrnet", "edge", {}, "edge needs a network with a density above 0"),
        ("edgecount-n", "centernet", {}, "centernet leaves a density untrained"),
        ("raznet", "raznet", {"counting_weight": -1}, "counting_weight: expected 0 or more"),
        ("raznet", "raznet", {"positive_weight": -1}, "positive_weight: expected 0, or a weight"),
        (
            "raznet",
            "raznet",
            {"counting_weight": 0, "localization_weight": 0},
            "a weight above 0 for a branch",
        ),
    ],
)
def test_objectives_that_do_not_fit(name, objective, settings, message):
    with pytest.raises(ConfigError, match=message):
        build_objective(objective, settings, build_model(name))


def test_losses_that_need_an_option_of_the_network_say_so():
    network = build_model("edgecount-n", SMALL)
    made = build_objective("edge", {"counts": "zip"}, network)
    targets = {k: torch.from_numpy(v[None]) for k, v in made.targets(crop(3)).items()}
    with pytest.raises(ConfigError, match="option zero_inflated: set it to true"):
        made.losses(network(torch.randn(1, 3, SIDE, SIDE)), targets, 0.0)


@pytest.mark.parametrize("weight", [0.0, 100.0])
def test_raznet_weighs_the_positive_pixels_as_it_is_asked_to(weight):
    objective = build_objective(
        "raznet", {"counting_weight": 0.0, "positive_weight": weight}, build_model("raznet")
    )
    logits = np.full((1, 1, 8, 8), -2.0, np.float32)
    target = np.zeros((1, 1, 8, 8), np.float32)
    target[0, 0, 3:5, 3] = 1.0  # 2 of 64 pixels
    logits[0, 0, 3, 3] = 1.5
    maps = Maps(heatmap_logits=torch.from_numpy(logits))
    found = objective.losses(maps, {"heatmap": torch.from_numpy(target)}, 0.0)["heatmap"]
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    errors = -np.where(target > 0, np.log(probabilities), np.log(1 - probabilities))
    weights = np.where(target > 0, weight or 62 / 2, 1.0)
    assert found.item() == pytest.approx((weights * errors).sum() / weights.sum(), rel=1e-6)


def cfanet_of(**settings):
    return build_objective("cfanet", settings, build_model("cfanet", {"expansion": 10.0}))


def test_cfanets_density_is_drawn_without_a_limit_unless_asked():
    points = np.array([[100, 130], [140, 130], [180, 130]], np.float32)  # 40 and 60 px apart
    image = np.zeros((260, 280, 3), np.uint8)
    given = Crop(image, points, points[:, 0], np.zeros((3, 4), np.float32))

    def gaussians(*sigmas):
        x, y = np.arange(280) + 0.5, np.arange(260) + 0.5
        total = np.zeros((260, 280))
        for (column, row), sigma in zip(points, sigmas, strict=True):
            bell = np.exp(-np.square(y - row) / (2 * sigma**2))[:, None]
            bell = bell * np.exp(-np.square(x - column) / (2 * sigma**2))
            bell *= (np.abs(y - row) <= 3 * sigma)[:, None] & (np.abs(x - column) <= 3 * sigma)
            total += bell / bell.sum()
        return 10 * total

    free = cfanet_of().targets(given)["density"][0]
    np.testing.assert_allclose(free, gaussians(60, 40, 60), atol=2e-5)
    assert free.sum() == pytest.approx(30, rel=1e-4)
    limited = cfanet_of(max_sigma=25.0).targets(given)["density"][0]
    np.testing.assert_allclose(limited, gaussians(25, 25, 25), atol=1e-4)


def test_cfanets_attention_shifts_as_the_options_say():
    settings = {"cam_weight": (2.0, 0.0), "fam_weight": (3.0, 1.0), "shifted": 0.25}
    made = cfanet_of(**settings)
    targets = {k: torch.from_numpy(v[None]) for k, v in made.targets(crop(12)).items()}
    torch.manual_seed(0)
    with torch.no_grad():
        maps = build_model("cfanet")(torch.randn(1, 3, SIDE, SIDE))
    first, middle, last = (made.losses(maps, targets, p) for p in (0.0, 0.125, 0.5))
    assert middle["cam"].item() == pytest.approx(first["cam"].item() / 2)
    assert last["cam"].item() == 0
    assert middle["fam"].item() == pytest.approx(first["fam"].item() * 2 / 3)
    assert last["fam"].item() == pytest.approx(first["fam"].item() / 3)
    assert first["density"].item() == last["density"].item()


def test_coarse_attention_is_the_highest_level_of_each_cell_at_sides_that_are_no_multiples():
    made = cfanet_of()
    target = torch.zeros(1, 12, 20)
    target[0, 9, 17] = 4.0  # a cell of 8 px that reaches past the crop
    logits = torch.zeros(1, 6, 2, 3)
    logits[0, 0] = 20.0
    logits[0, 0, 1, 2], logits[0, 4, 1, 2] = 0.0, 20.0
    assert made._attention("fam", logits, target, 8).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta": 0.0}, r"objective\.beta: expected a number above 0"),
        ({"max_sigma": -1.0}, r"objective\.max_sigma: expected 0 px or more"),
        ({"background_floor": -1.0}, r"objective\.background_floor: expected 0 people or more"),
        ({"cam_weight": (1.0, -1.0)}, r"objective\.cam_weight: expected two weights of 0 or more"),
        ({"shifted": 1.5}, r"objective\.shifted: expected a share in \[0, 1\], got 1\.5"),
    ],
)
def test_cfanet_options_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        cfanet_of(**settings)


def test_bsl_sees_a_crowd_where_a_pixel_has_1e_5_people_whatever_the_stride():
    made = build_objective("density", {"loss": "bsl", "sigma": 12.0}, build_model("csrnet"))
    points = np.array([[32.0, 32.0]], np.float32)
    given = Crop(np.zeros((SIDE, SIDE, 3), np.uint8), points, points[:, 0], np.zeros((1, 4)))
    drawn = made.targets(given)
    expected = drawn["density"] >= 1e-5 * 64
    np.testing.assert_array_equal(drawn["attention"], expected)
    assert 0 < expected.mean() < 1
