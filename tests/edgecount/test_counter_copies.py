"""Copies of an EdgeCounter: refused, unless a subclass knows how to make them."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecount import EdgeCounter, FakeBackend

MESSAGE = r"an EdgeCounter cannot be pickled or copied: open one in each process, .*initializer"


class Stated(EdgeCounter):
    """A counter that is made again from its model's path."""

    def __init__(self, model: Path) -> None:
        super().__init__(model, backend=FakeBackend([(8, 8)]))
        self.model = model

    def __getstate__(self) -> Path:
        return self.model

    def __setstate__(self, model: Path) -> None:
        self.__init__(model)  # type: ignore[misc]


class Reduced(Stated):
    def __reduce__(self) -> Any:
        return type(self), (self.model,)


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda one, p=p: pickle.dumps(one, p) for p in range(pickle.HIGHEST_PROTOCOL + 1)),
        lambda one: pickle.dumps(one.count),
    ],
)
def test_a_counter_is_not_copied(tiny_model: Path, duplicate: Callable[[Any], object]) -> None:
    counter = EdgeCounter(tiny_model, backend=FakeBackend([(8, 8)]))
    with pytest.raises(TypeError, match=MESSAGE):
        duplicate(counter)
    assert counter.count(np.zeros((64, 64, 3), np.uint8)).count == 1


def test_a_pool_of_processes_says_why_it_does_not_take_one(tiny_model: Path) -> None:
    counter = EdgeCounter(tiny_model, backend=FakeBackend([(8, 8)]))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        future = pool.submit(counter.count, np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(TypeError, match=MESSAGE):
            future.result(60)


@pytest.mark.parametrize("kind", [Stated, Reduced])
def test_a_subclass_may_say_how_it_is_copied(tiny_model: Path, kind: type[Stated]) -> None:
    counter = kind(tiny_model)
    sent = pickle.loads(pickle.dumps(counter))  # noqa: S301 (our own)
    for again in (sent, copy.copy(counter), copy.deepcopy(counter)):
        assert again is not counter
        assert again.count(np.zeros((64, 64, 3), np.uint8)).count == 1
