"""The settings that all frames of a counter have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecount import EdgeCounter, FakeBackend
from edgecount.errors import BackendError


class Engine(FakeBackend):
    """An engine that notes that it was freed, and may fail at that."""

    def __init__(self, freed: list[Engine], *, fails: bool = False) -> None:
        super().__init__()
        self.freed, self.fails = freed, fails

    def close(self) -> None:
        self.freed.append(self)
        if self.fails:
            raise BackendError(f"{self.name} hangs")


def test_every_engine_is_freed_where_one_of_them_fails(tiny_model: Path) -> None:
    freed: list[Engine] = []
    engines = [Engine(freed), Engine(freed, fails=True), Engine(freed)]
    settings = EdgeCounter(tiny_model)._settings
    settings.backend, settings.others = engines[0], engines[1:]  # type: ignore[assignment]
    assert settings.engines == tuple(engines)
    with pytest.raises(BackendError, match="hangs"):
        settings.close_engines()
    assert freed == engines[::-1]
