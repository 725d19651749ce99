"""Focal losses of single scores against hand-worked numbers."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.train.losses.classification import (  # noqa: E402
    CLASSIFICATION_LOSSES,
    classification_loss,
)

LOGITS = (0.3, -1.2, 2.0, 0.5, -0.4, 1.7)
SOFT = (1.0, 1.0, 0.4, 0.85, 0.0, 0.0)
BINARY = (1.0, 1.0, 0.0, 1.0, 0.0, 0.0)


def _by_hand(name, p, x, *, beta, gamma, epsilon=1.0, both=False):
    """Return one term of Eq. 2, 3, 5, 6 or 7 as they are printed."""
    q = 1 / (1 + math.exp(-x))
    if name in ("L_m", "poly-L_m"):
        d = abs(p - q) if p > 0 else q
        weight = p**beta if p > 0 else 1.0
        log_part = -(d**gamma) * math.log(1 - d)
        if name == "L_m":
            return weight * log_part
        added = epsilon * d ** (gamma + 1)
        return weight * (log_part + added) if both else log_part + weight * added
    e = 1 - q if p == 1 else q
    term = -(e**gamma) * math.log(1 - e) + (epsilon * e ** (gamma + 1) if "poly" in name else 0.0)
    return term * ((1 - p) ** beta if p < 1 and name.endswith("L_h") else 1.0)


def _maps(*rows):
    return tuple(torch.tensor(row, dtype=torch.float64).view(2, 3) for row in rows)


@pytest.mark.parametrize("target", [SOFT, BINARY], ids=["soft", "binary"])
@pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
def test_each_score_has_the_term_of_its_equation(name, target):
    logits, wanted = _maps(LOGITS, target)
    options = {"beta": 0.7, "gamma": 2.5, "epsilon": 1.3}
    found = classification_loss(name, logits, wanted, alpha=0.4, **options)
    expected = [0.4 * _by_hand(name, p, x, **options) for p, x in zip(target, LOGITS, strict=True)]
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found.flatten().numpy(), expected, rtol=1e-12)


def test_beta_may_weigh_both_terms_of_the_poly_form():
    logits, soft = _maps(LOGITS, SOFT)
    found = classification_loss("poly-L_m", logits, soft, alpha=1.0, beta=0.5, beta_weighs="both")
    expected = [
        _by_hand("poly-L_m", p, x, beta=0.5, gamma=2.0, both=True)
        for p, x in zip(SOFT, LOGITS, strict=True)
    ]
    np.testing.assert_allclose(found.flatten().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "beta"), [("L_h", 4.0), ("poly-L_h", 4.0), ("L_m", 0.25), ("poly-L_m", 0.5)]
)
def test_beta_is_the_papers_best_where_none_is_given(name, beta):
    logits, soft = _maps(LOGITS, SOFT)
    found = classification_loss(name, logits, soft)
    assert torch.equal(found, classification_loss(name, logits, soft, beta=beta))


def test_balanced_is_retinanets_alpha():
    logits, binary = _maps(LOGITS, BINARY)
    found = classification_loss("L_f", logits, binary, alpha=0.25, balanced=True)
    expected = [
        (0.25 if p else 0.75) * _by_hand("L_f", p, x, beta=0.0, gamma=2.0)
        for p, x in zip(BINARY, LOGITS, strict=True)
    ]
    np.testing.assert_allclose(found.flatten().numpy(), expected, rtol=1e-12)


def test_on_binary_targets_the_mask_focal_losses_are_the_focal_losses():
    logits, binary = _maps(LOGITS, BINARY)
    for plain, masked in (("L_f", "L_m"), ("poly-L_f", "poly-L_m")):
        torch.testing.assert_close(
            classification_loss(masked, logits, binary),
            classification_loss(plain, logits, binary),
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
def test_scores_far_out_are_finite_in_any_precision(name, balanced, dtype):
    logits = torch.tensor([-3e4, -90.0, 0.0, 90.0, 3e4] * 3, dtype=dtype, requires_grad=True)
    target = torch.tensor([0.0, 0.4, 1.0]).repeat_interleave(5)
    losses = classification_loss(name, logits, target, balanced=balanced)
    losses.sum().backward()
    assert losses.dtype == torch.float32
    assert torch.isfinite(losses).all()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
def test_the_gradient_is_that_of_finite_differences(name):
    logits, soft = _maps(LOGITS, SOFT)
    assert torch.autograd.gradcheck(
        lambda x: classification_loss(name, x, soft), (logits.requires_grad_(),)
    )
