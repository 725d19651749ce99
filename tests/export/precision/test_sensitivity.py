"""Which nodes are kept: few, and only as many as help."""

import numpy as np
import pytest
from graphs import pixels, small_model

from edgecount.export.graph.queries import tidy
from edgecount.export.precision.fp16 import to_fp16
from edgecount.export.precision.sensitivity import Sensitivity, find_kept

NODES = [f"n{i}" for i in range(40)]


def search(bad, always=(), tried=None):
    """Nodes do damage by their number; a model is good once all the bad ones are kept."""

    def lower(keep):
        return frozenset(keep)

    def accept(kept):
        if tried is not None:
            tried.append(kept)
        return bad <= kept

    return find_kept(lower, NODES, always, lambda name: int(name[1:]), accept)


def test_nothing_is_kept_where_nothing_is_wrong():
    tried = []
    assert search(set(), tried=tried) == ()
    assert len(tried) == 1


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 13, 20])
def test_as_few_of_the_worst_as_pass(number):
    tried = []
    bad = set(NODES[-number:])
    assert set(search(bad, tried=tried)) == bad
    assert len(tried) < 12


def test_half_of_all_is_the_most():
    assert search(set(NODES[-21:])) is None
    assert search({"n0"}) is None


def test_what_is_kept_always_is_not_tried():
    assert search({"n39", "n3"}, always=["n39", "n3"]) == ()
    assert search({"n39", "n38"}, always=["n39"]) == ("n38",)


def test_damage_finds_the_node_that_loses_most():
    # The second layer gives values up to some 10^5, which float16 cannot hold.
    model = tidy(small_model(gain=3e4))
    nodes = [node.name for node in model.graph.node]
    damage = Sensitivity(model, lambda keep: to_fp16(model, keep), nodes, [{"image": pixels()}], 1)
    harm = {name: damage(name) for name in nodes}
    assert max(harm, key=harm.get) in {"second", "second_relu", "third", "side"}
    assert harm["sigmoid"] < 1e-2
    assert all(np.isfinite(harm[name]) for name in ("first", "sigmoid", "softplus"))
