"""FakeBackend: how to test a camera app without an engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecount import EdgeCounter, FakeBackend
from edgecount.errors import BackendError, ConfigError
from edgecount.manifest import Manifest

FRAME = np.zeros((240, 320, 3), np.uint8)


def test_counts_the_people_it_is_told_of() -> None:
    """The bundled model's maps, without its engine."""
    people = [(20, 30), (200, 100), (310, 230)]
    with EdgeCounter(
        backend=FakeBackend(people), regions={"left": [(0, 0), (160, 0), (160, 240), (0, 240)]}
    ) as counter:
        result = counter.count(FRAME)
    assert result.count == pytest.approx(3)
    assert result.regions["left"].count == pytest.approx(1)
    np.testing.assert_allclose(result.points[:, :2], people, atol=0.01)
    assert result.backend == "fake"


def test_people_may_move_from_frame_to_frame(tiny_model: Path) -> None:
    seen: list[tuple[int, ...]] = []

    def people(image: NDArray[np.float32]) -> list[tuple[int, int]]:
        seen.append(image.shape)
        return [(40 * i + 20, 50) for i in range(len(seen))]

    backend = FakeBackend(people)
    counter = EdgeCounter(tiny_model, backend=backend)
    assert [counter.count(FRAME).count for _ in range(3)] == [1, 2, 3]
    assert seen[0] == (1, 3, 256, 320)
    assert backend.calls == 3


def test_no_people_by_default_and_by_name(tiny_model: Path) -> None:
    assert EdgeCounter(tiny_model, backend="fake").count(FRAME).count == 0
    assert EdgeCounter(tiny_model, backend=FakeBackend()).count(FRAME).count == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.floats(0, 319.9), st.floats(0, 239.9)), max_size=60))
def test_count_is_exact_however_close_people_stand(
    tiny_model: Path, people: list[tuple[float, float]]
) -> None:
    result = EdgeCounter(tiny_model, backend=FakeBackend(people)).count(FRAME)
    assert result.count == pytest.approx(len(people))
    assert result.density_count == pytest.approx(len(people))
    assert result.peak_count == len(people)
    expected = sorted(np.round(np.float32(people), 2).tolist())
    found = np.round(result.points[:, :2], 2).tolist()
    np.testing.assert_allclose(sorted(found), expected, atol=0.02) if people else None


@pytest.mark.parametrize(
    "roles", [("density",), ("heatmap",), ("density", "heatmap"), ("scores", "boxes")]
)
def test_any_layout_of_maps(make_model: Callable[..., Path], roles: tuple[str, ...]) -> None:
    counter = EdgeCounter(
        make_model(roles=roles, unit=100.0), backend=FakeBackend([(10, 10), (90, 200), (92, 200)])
    )
    assert counter.count(FRAME).count == pytest.approx(3)


def test_refuses_people_it_cannot_show(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="expected people as finite points"):
        FakeBackend([(1, 2, 3)])
    with pytest.raises(ConfigError, match=r"expected people as finite points .*, got 'abc'"):
        FakeBackend("abc")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="outside the 320 x 256 network input"):
        EdgeCounter(tiny_model, backend=FakeBackend([(400, 10)])).count(FRAME)
    with pytest.raises(ConfigError, match="no room for 1000 people"):
        EdgeCounter(tiny_model, backend=FakeBackend([(5, 5)] * 1000)).count(FRAME[:64, :64])


def test_needs_a_model_or_a_manifest(make_manifest: Callable[..., Manifest]) -> None:
    image = {"image": np.zeros((2, 3, 64, 64), np.float32)}
    with pytest.raises(BackendError, match="pass it to an EdgeCounter"):
        FakeBackend().infer(image)
    maps = FakeBackend([(8, 8)], manifest=make_manifest()).infer(image)
    assert maps["heat"].shape == (2, 1, 16, 16)
