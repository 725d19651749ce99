"""A counter that sees the heads of fake cameras."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgecount import EdgeCounter
from edgecount.fake import HeadBackend


@pytest.fixture
def counter() -> Iterator[EdgeCounter]:
    with EdgeCounter(backend=HeadBackend()) as made:
        yield made
