"""Promises of every loss: gradients, precision, finite values, and a mean over images."""

import importlib
import pkgutil
from collections.abc import Callable
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from edgecount.train import losses as package  # noqa: E402

losses = SimpleNamespace(
    **{
        name: value
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        for name, value in vars(importlib.import_module(found.name)).items()
        if getattr(value, "__module__", "") == found.name and not name.startswith("_")
    }
)
Loss = Callable[..., "torch.Tensor"]
BATCH, SIDE = 4, 8


def _masks() -> dict[str, "torch.Tensor"]:
    """Four images of 8 x 8 cells; the last one holds nobody."""
    generator = torch.Generator().manual_seed(3)
    heatmap = torch.rand(BATCH, 1, SIDE, SIDE, generator=generator) * 0.9
    mask = (heatmap > 0.3).float()
    heatmap[:, :, 2::4, 2::4] = 1.0
    mask[:, :, 2::4, 2::4] = 1.0
    counts = torch.poisson(torch.full((BATCH, 1, SIDE, SIDE), 0.6), generator=generator)
    levels = torch.randint(0, 6, (BATCH, SIDE, SIDE), generator=generator).float()
    for target in (heatmap, mask, counts, levels):
        target[-1] = 0.0
    return {"heatmap": heatmap * mask, "mask": mask, "counts": counts, "levels": levels}


TARGETS = _masks()
BINARY = TARGETS["heatmap"].eq(1.0).float()
HEADS = BINARY.sum((1, 2, 3))


def _on_logits() -> dict[str, tuple[int, Loss]]:
    """Losses of logits by name: channels of the logits, and the loss of (logits, rows)."""
    heatmap, mask = TARGETS["heatmap"], TARGETS["mask"]
    return {
        "focal_loss": (1, lambda x, i: losses.focal_loss(x, BINARY[i], HEADS[i])),
        "focal_loss of gamma 0.5": (
            1,
            lambda x, i: losses.focal_loss(x, BINARY[i], HEADS[i], gamma=0.5),
        ),
        "heatmap_focal_loss": (1, lambda x, i: losses.heatmap_focal_loss(x, heatmap[i])),
        "poly_focal_loss": (1, lambda x, i: losses.poly_focal_loss(x, BINARY[i], HEADS[i])),
        "mask_focal_loss": (
            1,
            lambda x, i: losses.mask_focal_loss(x, heatmap[i], mask[i], HEADS[i]),
        ),
        "mask_focal_loss of gamma 0.5": (
            1,
            lambda x, i: losses.mask_focal_loss(x, heatmap[i], mask[i], HEADS[i], gamma=0.5),
        ),
        "poly_mask_focal_loss": (
            1,
            lambda x, i: losses.poly_mask_focal_loss(x, heatmap[i], mask[i], HEADS[i]),
        ),
        "attention_loss": (1, lambda x, i: losses.attention_loss(x, mask[i])),
        "level_loss": (6, lambda x, i: losses.level_loss(x, TARGETS["levels"][i])),
        "weighted_bce": (1, lambda x, i: losses.weighted_bce(x, BINARY[i])),
        "zero_inflated_loss": (
            2,
            lambda x, i: losses.zero_inflated_loss(
                torch.nn.functional.softplus(losses.at_least_float32(x[:, :1])),
                x[:, 1:],
                TARGETS["counts"][i],
            ),
        ),
        "block_count_loss": (
            1,
            lambda x, i: losses.block_count_loss(
                torch.nn.functional.softplus(losses.at_least_float32(x)),
                TARGETS["counts"][i],
            ),
        ),
        "block_count_loss of negative_binomial": (
            1,
            lambda x, i: losses.block_count_loss(
                torch.nn.functional.softplus(losses.at_least_float32(x)),
                TARGETS["counts"][i],
                kind="negative_binomial",
            ),
        ),
    }


def _on_maps() -> dict[str, tuple[int, Loss]]:
    """Losses of maps that are no logits: channels, and the loss of (maps, rows)."""
    heatmap, mask, counts = TARGETS["heatmap"], TARGETS["mask"], TARGETS["counts"]
    scales = losses.ScaleConsistency(levels=3)
    return {
        "density_mse": (1, lambda x, i: losses.density_mse(x, counts[i])),
        "ScaleConsistency": (3, lambda x, i: scales(x.split(1, 1), counts[i])),
        "structural_loss": (1, lambda x, i: losses.structural_loss(x, counts[i])),
        "background_loss": (1, lambda x, i: losses.background_loss(x, mask[i])),
        "background_aware_structural_loss": (
            1,
            lambda x, i: losses.background_aware_structural_loss(x, counts[i], mask[i]),
        ),
        "block_count_loss of l1": (
            1,
            lambda x, i: losses.block_count_loss(x, counts[i], kind="l1"),
        ),
        "masked_l1": (
            2,
            lambda x, i: losses.masked_l1(x, heatmap[i].expand(-1, 2, -1, -1), BINARY[i]),
        ),
    }


LOGITS, MAPS = _on_logits(), _on_maps()
EVERY = {**LOGITS, **MAPS}


def _input(name: str, dtype: "torch.dtype") -> "torch.Tensor":
    generator = torch.Generator().manual_seed(11)
    channels = EVERY[name][0]
    noise = torch.randn(BATCH, channels, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return (noise if name in LOGITS else noise.abs() + 0.05).to(dtype)


@pytest.mark.parametrize("name", EVERY)
def test_the_gradient_is_that_of_finite_differences(name):
    loss = EVERY[name][1]
    image = slice(0, 1)
    given = _input(name, torch.float64)[image].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, image), (given,), fast_mode=True)


@pytest.mark.parametrize("name", EVERY)
def test_a_batch_costs_the_mean_of_its_halves(name):
    loss, given = EVERY[name][1], _input(name, torch.float64)
    whole = loss(given, slice(0, 4))
    halves = [loss(given[rows], rows) for rows in (slice(0, 2), slice(2, 4))]
    assert whole.shape == ()
    assert whole.item() == pytest.approx(sum(half.item() for half in halves) / 2, rel=1e-9)


@pytest.mark.parametrize("name", EVERY)
def test_half_precision_is_computed_in_float32_and_float64_kept(name):
    loss, rows = EVERY[name][1], slice(0, 4)
    assert loss(_input(name, torch.float64), rows).dtype == torch.float64
    for dtype in (torch.float16, torch.bfloat16):
        given = _input(name, dtype)
        low, exact = loss(given, rows), loss(given.double(), rows)
        assert low.dtype == torch.float32
        assert low.item() == pytest.approx(exact.item(), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("size", [50.0, 90.0, 3e4])
@pytest.mark.parametrize("name", LOGITS)
def test_logits_far_out_give_finite_values_and_gradients(name, size, dtype):
    channels, loss = LOGITS[name]
    if name == "zero_inflated_loss" and size > 1e3:
        size = 1e3  # a rate of 30,000 heads a cell says nothing about logits
    signs = torch.ones(BATCH, channels, SIDE, SIDE)
    signs.view(-1)[::2] = -1.0
    signs[1] *= -1.0
    given = (signs * size).to(dtype).requires_grad_()
    value = loss(given, slice(0, 4))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(given.grad).all()


@pytest.mark.parametrize("name", EVERY)
def test_an_image_without_people_gives_a_finite_loss_and_gradient(name):
    given = _input(name, torch.float32)[3:].requires_grad_()
    value = EVERY[name][1](given, slice(3, 4))
    value.backward()
    assert torch.isfinite(value)
    assert value.item() >= 0.0
    assert torch.isfinite(given.grad).all()


@pytest.mark.parametrize("name", MAPS)
def test_a_map_of_zeros_gives_a_bounded_gradient(name):
    channels, loss = MAPS[name]
    given = torch.zeros(BATCH, channels, SIDE, SIDE, requires_grad=True)
    loss(given, slice(0, 4)).backward()
    assert given.grad.abs().max() <= 100.0  # BL: a share of a hundredth of a person at least


def test_every_exported_loss_is_tried_here():
    helpers = {"at_least_float32", "shifting_weight", "per_head", "seen_at", "ssim"}
    # one value an element, which are tried by hand in files of their own
    helpers |= {"focal_cells", "mask_focal_cells", "poly_mask_focal_cells", "classification_loss"}
    helpers |= {"iou_loss", "giou_loss", "ciou_loss", "smooth_l1_loss"}
    assert {name.split(" of ")[0] for name in EVERY} == set(vars(losses)) - helpers
