"""Block-count losses against probability mass functions and hand-worked numbers."""

import math

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.losses.blocks import block_count_loss, zero_inflated_loss  # noqa: E402


def _counts(seed=1, shape=(2, 1, 8, 8), mean=0.7):
    generator = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full(shape, mean, dtype=torch.float64), generator=generator)


def test_a_perfect_rate_costs_nothing_and_any_other_costs():
    counts = _counts()
    perfect = counts.clamp_min(1e-6)
    assert block_count_loss(perfect, counts).item() == pytest.approx(0.0, abs=1e-4)
    assert block_count_loss(perfect * 1.3, counts) > 0.01
    assert block_count_loss(perfect * 0.7, counts) > 0.01


def test_the_best_constant_rate_of_the_poisson_term_is_the_mean():
    # An L1 on the same cells would choose their median, 0: the bias this loss is there to avoid.
    counts = torch.zeros(1, 1, 8, 8)
    counts[..., ::4, ::4] = 1.0
    rates = torch.linspace(0.01, 0.2, 96)
    for kind, best in (("poisson", counts.mean().item()), ("l1", 0.01)):
        losses = [
            block_count_loss(
                torch.full_like(counts, rate), counts, levels=(1,), kind=kind, total_weight=0.0
            ).item()
            for rate in rates.tolist()
        ]
        assert rates[losses.index(min(losses))].item() == pytest.approx(best, abs=0.003)


def test_the_poisson_term_is_the_log_likelihood_up_to_its_best():
    counts, rate = _counts(), _counts(2).add(0.3)
    expected = 0.0
    for level in (1, 2, 4):
        n, r = (
            m.reshape(2, 8 // level, level, 8 // level, level).sum((2, 4)).numpy()
            for m in (counts, rate)
        )
        logs = stats.poisson.logpmf(n, n) - stats.poisson.logpmf(n, r)
        expected += logs.sum() / 2 / 4
    loss = block_count_loss(rate, counts, total_weight=0.0)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dispersion", [1e-3, 0.1, 2.0])
def test_the_negative_binomial_term_is_the_log_likelihood_up_to_its_best(dispersion):
    counts, rate = _counts(), _counts(2).add(0.3)
    shape = 1 / dispersion

    def logs(n, mean):
        return stats.nbinom.logpmf(n, shape, shape / (shape + mean))

    n, r = counts.numpy(), rate.numpy()
    expected = (logs(n, n) - logs(n, r)).sum() / 2 / 4
    loss = block_count_loss(
        rate,
        counts,
        levels=(1,),
        kind="negative_binomial",
        dispersion=dispersion,
        total_weight=0.0,
    )
    assert loss.item() * 16 == pytest.approx(expected, rel=1e-6)


def test_the_negative_binomial_tends_to_poisson_and_weighs_dense_blocks_less():
    def loss(people, kind, dispersion):
        counts = torch.full((1, 1, 4, 4), people, dtype=torch.float64)
        options = {"kind": kind, "dispersion": dispersion, "total_weight": 0.0}
        return block_count_loss(counts * 1.2, counts, **options).item()

    for people in (0.0, 1.0, 50.0):
        plain = loss(people, "poisson", 0.1)
        assert loss(people, "negative_binomial", 1e-9) == pytest.approx(plain, rel=1e-4)
    # The same share too many costs a thousand times as much for a thousand times the people by
    # Poisson, and tends to a constant by the other.
    assert loss(1e4, "poisson", 0.1) == pytest.approx(1e3 * loss(10.0, "poisson", 0.1))
    dense, denser = (loss(people, "negative_binomial", 0.1) for people in (1e4, 1e6))
    assert denser == pytest.approx(dense, rel=0.01)


def test_l1_of_blocks_by_hand():
    counts, density = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    counts[0, 0, 0, 0] = density[0, 0, 1, 1] = 2.0
    options = {"kind": "l1", "total_weight": 0.0}
    assert block_count_loss(density, counts, levels=(1,), **options).item() == pytest.approx(4 / 16)
    assert block_count_loss(density, counts, levels=(1, 2), **options).item() == pytest.approx(1.0)
    assert block_count_loss(density, counts, levels=(2,), **options).item() == 0.0


def test_total_term_is_the_error_over_its_poisson_scale():
    counts = torch.zeros(1, 1, 4, 4)
    counts[0, 0, 0, 0] = 9.0
    density = counts.clamp_min(1e-6) * (12.0 / 9.0)
    with_total = block_count_loss(density, counts, levels=(1,), total_weight=1.0)
    without = block_count_loss(density, counts, levels=(1,), total_weight=0.0)
    assert (with_total - without).item() == pytest.approx(3.0 / math.sqrt(25.0), rel=1e-4)


def test_total_term_of_the_negative_binomial_is_the_error_over_its_scale():
    counts = torch.zeros(1, 1, 4, 4)
    counts[0, 0, 0, 0] = 100.0
    density = counts.clamp_min(1e-6) * 1.3
    options = {"levels": (1,), "kind": "negative_binomial", "dispersion": 0.05}
    with_total = block_count_loss(density, counts, total_weight=1.0, **options)
    without = block_count_loss(density, counts, total_weight=0.0, **options)
    scale = math.sqrt(100.0 + 16.0 + 0.05 * 1e4)
    assert (with_total - without).item() == pytest.approx(30.0 / scale, rel=1e-4)


@pytest.mark.parametrize("logit", [-5.0, -20.0, -40.0])
def test_a_head_in_a_cell_of_almost_no_rate_pulls_its_logit_up(logit):
    # d/dx of softplus(x) - log softplus(x) tends to -1 far down
    logits = torch.full((1, 1, 4, 4), logit, requires_grad=True)
    rate = -torch.nn.functional.logsigmoid(-logits)
    counts = torch.ones(1, 1, 4, 4)
    block_count_loss(rate, counts, levels=(1,), total_weight=0.0).backward()
    assert logits.grad.mul(16).mean().item() == pytest.approx(-1.0, abs=0.02)


def test_zero_inflated_cells_are_the_log_pmf_of_their_mixture():
    counts, rate = _counts(), _counts(2).add(0.2)
    logits = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(4)).double() * 3
    n, r, z = counts.numpy(), rate.numpy(), torch.sigmoid(logits).numpy()
    pmf = z * (n == 0) + (1 - z) * stats.poisson.pmf(n, r)
    log_factorial = np.vectorize(math.lgamma)(n + 1)  # which the loss leaves out
    expected = -(np.log(pmf) + log_factorial).sum() / 2 / 64
    loss = zero_inflated_loss(rate, logits, counts, levels=(1,), total_weight=0.0)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_zero_inflated_blocks_and_total_see_the_expectation():
    counts, rate = _counts(), _counts(2).add(0.2)
    logits = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(4)).double()
    expected = torch.sigmoid(-logits) * rate
    cells = zero_inflated_loss(rate, logits, counts, levels=(1,), total_weight=0.0) * 64
    whole = zero_inflated_loss(rate, logits, counts, levels=(1, 2, 4), total_weight=0.5)
    blocks = block_count_loss(expected, counts, levels=(2, 4), total_weight=0.5)
    torch.testing.assert_close(whole, cells / 4 + blocks)


def test_without_inflation_a_cell_is_plain_poisson():
    counts, rate = _counts(), _counts(2).add(0.2)
    never = torch.full_like(rate, -60.0)
    plain = block_count_loss(rate, counts) - block_count_loss(counts.clamp_min(1e-12), counts)
    inflated = zero_inflated_loss(rate, never, counts)
    best = zero_inflated_loss(counts.clamp_min(1e-12), never, counts)
    assert (inflated - best).item() == pytest.approx(plain.item(), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_zero_inflation_far_out_costs_what_it_says_and_pulls_back(dtype):
    counts = torch.tensor([[[[1.0, 0.0]]]])
    zeros = torch.tensor([[[[90.0, -90.0]]]], dtype=dtype, requires_grad=True)
    loss = zero_inflated_loss(torch.ones(1, 1, 1, 2), zeros, counts, levels=(1,), total_weight=0.0)
    loss.backward()
    # log P(1) = -90 - 1, log P(0) = -1; the mean over the two cells
    assert loss.item() == pytest.approx((91.0 + 1.0) / 2, rel=1e-5)
    assert zeros.grad[0, 0, 0].tolist() == pytest.approx([0.5, 0.0], abs=1e-6)


def test_levels_of_the_zero_inflated_loss_begin_with_the_cells():
    cells = torch.ones(1, 1, 4, 4)
    with pytest.raises(ConfigError, match="expected the first to be 1"):
        zero_inflated_loss(cells, cells, cells, levels=(2, 4))


def test_an_empty_image_costs_its_rate():
    counts, rate = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.25)
    loss = block_count_loss(rate, counts, levels=(1, 4), total_weight=0.1)
    assert loss.item() == pytest.approx(4.0 + 4.0 + 0.1 * 4.0 / 4.0, rel=1e-5)
