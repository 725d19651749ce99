"""How many actors there are, and that they leave a whole CPU for Ray's own tasks."""

from __future__ import annotations

import itertools

import pytest

from edgecount.errors import ConfigError


@pytest.mark.parametrize(
    ("nodes", "most", "num_cpus"),
    [
        ([2], 2, 0.5),
        ([1], 1, 0),
        ([1, 1, 1], 3, 0),
        ([0, 4], 4, 0.5),
        ([1, 2], 3, 0.5),
        ([], 1, 0),
    ],
)
def test_one_actor_for_each_cpu(nodes: list[int], most: int, num_cpus: float) -> None:
    from edgecount.ray._pool import choose_pool

    assert choose_pool(None, None, nodes) == (most, most, num_cpus)


@pytest.mark.parametrize("nodes", [[1], [2], [3], [1, 1], [1, 2], [2, 2], [1, 1, 3]])
@pytest.mark.parametrize("number", range(1, 9))
def test_a_whole_cpu_is_left_wherever_the_actors_go(nodes: list[int], number: int) -> None:
    from edgecount.ray._pool import choose_pool

    num_cpus = choose_pool(number, None, nodes).num_cpus
    if num_cpus == 0:
        return
    for actors in itertools.product(*(range(2 * cpus + 1) for cpus in nodes)):
        if sum(actors) == number:
            left = [cpus - num_cpus * some for cpus, some in zip(nodes, actors, strict=True)]
            assert max(left) >= 1


def test_what_is_asked_for() -> None:
    from edgecount.ray._pool import choose_pool

    assert choose_pool(3, 2, [8]) == (3, 3, 2)
    assert choose_pool((1, 6), None, [8]) == (1, 6, 0.5)
    assert choose_pool(2, 0.0, [8]) == (2, 2, 0)


def test_actors_that_leave_no_cpu_are_told(caplog: pytest.LogCaptureFixture) -> None:
    from edgecount.ray._pool import choose_pool

    assert choose_pool(2, 1, [2]) == (2, 2, 1)
    assert "2 actors of 1 CPUs leave no whole one of 2" in caplog.text


@pytest.mark.parametrize("concurrency", [0, True, 1.5, "2", (2, 1), (0, 2)])
def test_odd_numbers_of_actors(concurrency: object) -> None:
    from edgecount.ray._pool import choose_pool

    with pytest.raises(ConfigError, match="concurrency: expected a number, 1 or more"):
        choose_pool(concurrency, None, [2])


@pytest.mark.parametrize("num_cpus", [-1, True, "1", float("nan")])
def test_odd_numbers_of_cpus(num_cpus: object) -> None:
    from edgecount.ray._pool import choose_pool

    with pytest.raises(ConfigError, match="num_cpus: expected a number, 0 or more"):
        choose_pool(1, num_cpus, [2])
