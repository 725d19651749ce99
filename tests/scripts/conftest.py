"""The modules that make a release, and a card with nothing in its sections."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "release"
CARD = """# tiny

By hand, above.

<!-- facts: begin -->
<!-- facts: end -->
<!-- measured: begin -->
old numbers
<!-- measured: end -->

By hand, between.

<!-- failures: begin -->
<!-- failures: end -->

By hand, below.
"""


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    """Import the modules as the program imports them."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    sys.path.insert(0, str(SCRIPTS))
    names = (
        "hard_scenes",
        "model_card",
        "set_names",
        "left_out",
        "draft",
        "release_model",
        "describe_metrics",
    )
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def blank_card() -> str:
    """Markers around an older number, and words by hand."""
    return CARD
