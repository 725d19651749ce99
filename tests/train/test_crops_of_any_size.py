"""Losses of crops that are no multiples, of several sizes, and of annotated regions."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train import loop  # noqa: E402
from edgecount.train.checkpoint import load_checkpoint  # noqa: E402
from edgecount.train.config import config_from_dict  # noqa: E402
from edgecount.train.data.mixture import Batch, normalise  # noqa: E402
from edgecount.train.data.sample import Crop, Sample  # noqa: E402
from edgecount.train.devices import open_fabric  # noqa: E402
from edgecount.train.engine import System, _counts, predict, train_steps  # noqa: E402
from edgecount.train.learner import check_crop, make_learner, restore, state_of  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.base import Maps  # noqa: E402
from edgecount.train.models.extent import CLOSED, coverage, limit_maps  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402

HSRNET = {"name": "hsrnet", "width": 0.1}


def config_of(**change):
    values = {
        "model": HSRNET,
        "objective": {"name": "density", "scale_consistency": 1.0},
        "data": [{"reader": "ucsd"}],
        "crop": "half",
        "optimiser": "sgd",
        "momentum": 0.0,
        "weight_decay": 0.0,
        "warmup": 0,
        "clip_norm": 0.0,
        "ema": 0.0,
    }
    return config_from_dict({**values, **change})


def crop_of(height, width, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    points = rng.uniform(0, min(height, width), (6, 2)).astype(np.float32)
    return Crop(image, points, np.full(6, 5, np.float32), np.zeros((6, 4), np.float32))


def batch_of(crops, network, objective, rest=()):
    targets = [objective.targets(crop) for crop in crops]
    return Batch(
        torch.from_numpy(np.stack([normalise(crop.image, network.input) for crop in crops])),
        {k: torch.from_numpy(np.stack([t[k] for t in targets])) for k in targets[0]},
        ("x",) * len(crops),
        tuple(rest),
    )


@pytest.mark.parametrize(("name", "stride"), [("mcnn", 4), ("csrnet", 8)])
def test_a_crop_of_115_px_is_padded_and_its_loss_is_of_the_crop_alone(name, stride):
    torch.manual_seed(0)
    network = build_model(name, {}).eval()
    objective = build_objective("density", {"sigma": 4.0}, network)
    crop = crop_of(115, 51, 3)
    batch = batch_of([crop], network, objective)
    cells = (-(-115 // stride), -(-51 // stride))
    assert batch.targets["density"].shape[-2:] == cells
    assert float(batch.targets["density"].sum()) == pytest.approx(6.0, rel=1e-5)
    with torch.no_grad():
        terms = System(network, objective)(batch.images, batch.targets, 0.0)
        black = np.zeros((cells[0] * stride, cells[1] * stride, 3), np.uint8)
        black[:115, :51] = crop.image
        whole = network(torch.from_numpy(normalise(black, network.input))[None]).density[0, 0]
    difference = whole.numpy()[: cells[0], : cells[1]] - batch.targets["density"][0, 0].numpy()
    assert float(terms["density"]) == pytest.approx(0.5 * np.square(difference).sum(), rel=1e-4)


def test_crops_of_several_sizes_give_the_mean_of_their_gradients():
    config = config_of()
    sizes = [(33, 47), (33, 47), (50, 31)]
    crops = [crop_of(*size, seed) for seed, size in enumerate(sizes)]

    def step(groups):
        torch.manual_seed(1)
        network = build_model("hsrnet", {"width": 0.1})
        objective = build_objective("density", config.objective.options, network)
        learner = make_learner(network, objective, config, open_fabric("cpu", "fp32"))
        first, *rest = (batch_of(group, network, objective) for group in groups)
        batch = Batch(first.images, first.targets, first.names, tuple(rest))
        before = {k: v.clone() for k, v in network.state_dict().items()}
        losses = train_steps(learner, [batch], config, lambda _: 1.0)
        after = network.state_dict()
        return losses, {k: after[k] - before[k] for k in before if before[k].is_floating_point()}

    losses, moved = step([crops[:2], crops[2:]])
    alone = [step([[crop]]) for crop in crops]
    for name, value in losses.items():
        assert value == pytest.approx(np.mean([one[name] for one, _ in alone]), rel=1e-4)
    for name, change in moved.items():
        mean = torch.stack([other[name] for _, other in alone]).mean(0)
        scale = float(mean.abs().max())
        torch.testing.assert_close(change, mean, rtol=1e-3, atol=1e-3 * scale + 1e-12)


def test_nothing_is_learned_from_what_lies_outside_the_region():
    torch.manual_seed(0)
    network = build_model("hsrnet", {"width": 0.1})
    objective = build_objective("density", {"scale_consistency": 1.0}, network)
    batch = batch_of([crop_of(32, 48, 1)], network, objective)
    region = torch.zeros(1, 1, 32, 48)
    region[..., 4:20, 8:40] = 1.0
    seen = {}

    def keep(_module, _args, maps):
        for tensor in (maps.density, *maps.auxiliary["scales"]):
            tensor.retain_grad()
        seen["maps"] = maps

    handle = network.register_forward_hook(keep)
    terms = System(network, objective)(batch.images, {**batch.targets, "region": region}, 0.0)
    handle.remove()
    sum(terms.values()).backward()
    for tensor in (seen["maps"].density, *seen["maps"].auxiliary["scales"]):
        assert float((tensor.grad * (1 - region)).abs().max()) == 0.0
        assert float((tensor.grad * region).abs().max()) > 0.0


def test_cells_in_part_inside_keep_their_share_and_points_outside_are_closed():
    region = torch.zeros(1, 1, 10, 12)
    region[..., :6, :5] = 1.0
    share = coverage(region, 4)
    # rows of 4, 4 and 2 px, columns of 4 px; of the second row 2 px, of the second column 1 px
    expected = torch.tensor([[1, 0.25, 0], [0.5, 0.125, 0], [0, 0, 0]])
    torch.testing.assert_close(share[0, 0], expected)
    maps = Maps(torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))
    limited = limit_maps(maps, (16, 16), (10, 12), region)
    torch.testing.assert_close(limited.density[0, 0], expected)
    assert torch.equal(limited.heatmap_logits[0, 0] == CLOSED, expected == 0)


def test_a_validation_counts_what_is_annotated(tmp_path):
    cv2 = pytest.importorskip("cv2")
    torch.manual_seed(0)
    network = build_model("csrnet", {}).eval()
    torch.nn.init.constant_(network.counting[-1].bias, 0.5)
    path = tmp_path / "x.png"
    cv2.imwrite(str(path), np.full((44, 60, 3), 120, np.uint8))
    region = np.array([[8, 8], [39, 8], [39, 29], [8, 29]], np.float32)
    sample = Sample(path, np.zeros((0, 2), np.float32), np.zeros(0, np.float32), region=region)
    mask = np.zeros((44, 60), bool)
    mask[8:30, 8:40] = True  # OpenCV's polygons have their border
    assert np.array_equal(sample.mask(44, 60), mask)
    whole = predict(network, sample.image())["density"][0].astype(np.float64)
    tall = np.minimum(np.arange(6) * 8 + 8, 44) - np.arange(6) * 8
    wide = np.minimum(np.arange(8) * 8 + 8, 60) - np.arange(8) * 8
    shares = np.array(
        [[mask[8 * i : 8 * i + 8, 8 * j : 8 * j + 8].sum() for j in range(8)] for i in range(6)]
    ) / np.outer(tall, wide)
    assert _counts(network, sample, "density")[0] == pytest.approx((whole * shares).sum(), rel=1e-5)
    assert whole.sum() > 1.5 * (whole * shares).sum()


@pytest.mark.parametrize(
    ("crop", "message"),
    [("half", "got half of each image: give height and width"), ([40, 64], "got 40 x 64")],
)
def test_objectives_of_whole_cells_refuse_other_crops(crop, message):
    config = config_of(model="edgecount-n", objective="edge", crop=crop)
    network = build_model("edgecount-n", {"width": 0.25})
    with pytest.raises(ConfigError, match=message):
        check_crop(config, network, build_objective("edge", {}, network))


def test_a_run_on_half_crops_is_resumed_to_the_same_weights(settings, tmp_path):
    del settings["data"][1]
    settings["data"][0] |= {"scales": [0.8, 1.2], "window": "quarters", "mirror": False}
    settings |= {
        "model": HSRNET,
        "objective": {"name": "density", "scale_consistency": 1.0},
        "objective_rate": 1e-2,
        "crop": "half",
        "batch_size": 3,
        "steps": 4,
        "report": False,
    }
    whole = loop.train(config_from_dict(settings), tmp_path / "whole")
    stops = iter([False, True])
    loop.train(config_from_dict(settings), tmp_path / "parts", stop=lambda: next(stops))
    again = loop.train(config_from_dict(settings), tmp_path / "parts", resume=True)
    one, other = load_checkpoint(whole), load_checkpoint(again)
    assert other["step"] == 4
    for part in ("network", "objective"):
        for name, weight in one[part].items():
            torch.testing.assert_close(other[part][name], weight, rtol=0, atol=0)
    assert float(one["objective"]["scales.log_variances"].abs().min()) > 0.01


LOSSES = torch.tensor([5.0, 2.0, 1.0, 0.3, 0.05])


def optimised(config, steps):
    """Train Eq. 9's weights on fixed losses, by the optimiser that a run has."""
    network = build_model("hsrnet", {"width": 0.1})
    objective = build_objective("density", {"scale_consistency": 1.0}, network)
    learner = make_learner(network, objective, config, open_fabric("cpu", "fp32"))
    s = objective.scales.log_variances
    target = torch.zeros(1, 1, 1, 1)
    maps = [(2 * loss).sqrt().reshape(1, 1, 1, 1) for loss in LOSSES]
    for group in learner.optimiser.param_groups:
        group["lr"] = config.learning_rate * group.get("rate_factor", 1.0)
    for _ in range(steps):
        learner.optimiser.zero_grad()
        objective.scales(maps, target).backward()
        learner.optimiser.step()
    return torch.exp(-s.detach())


def test_the_weights_of_eq_9_settle_where_they_should_at_a_rate_of_their_own():
    config = config_of(optimiser="adam", learning_rate=1e-5, objective_rate=1e-2)
    settled = [0.20, 0.50, 0.99, 3.2, 16.7]  # 1 / (loss + 0.01)
    np.testing.assert_allclose(optimised(config, 1500).numpy(), settled, rtol=0.01)
    same = config_of(optimiser="adam", learning_rate=1e-5)
    assert (optimised(same, 300) - 1).abs().max() < 0.005  # a rate of 1e-5 moves nothing


def test_a_run_without_the_key_resumes_and_one_with_it_does_too():
    for rate, groups in ((0.0, 2), (1e-3, 3)):
        config = config_of(optimiser="adam", objective_rate=rate)
        network = build_model("hsrnet", {"width": 0.1})
        objective = build_objective("density", {"scale_consistency": 1.0}, network)
        learner = make_learner(network, objective, config, open_fabric("cpu", "fp32"))
        assert len(learner.optimiser.param_groups) == groups
        batch = batch_of([crop_of(32, 32, 0)], network, objective)
        train_steps(learner, [batch], config, lambda _: 1e-4)
        state = state_of(learner, config)
        restore(learner, state)
        train_steps(learner, [batch], config, lambda _: 1e-4)
        rates = [group["lr"] for group in learner.optimiser.param_groups]
        assert rates == pytest.approx(
            [1e-4, 1e-4] + [1e-4 * 1e-3 / config.learning_rate] * (groups - 2)
        )
