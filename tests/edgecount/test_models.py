"""The bundled models."""

from __future__ import annotations

import numpy as np
import pytest

from edgecount import EdgeCounter
from edgecount.models import DEFAULT_MODEL, list_models, model_path


def test_the_default_is_bundled() -> None:
    assert DEFAULT_MODEL in list_models()


@pytest.mark.parametrize("name", list_models())
def test_every_model_is_small_and_has_a_card(name: str) -> None:
    assert model_path(name).stat().st_size < 9 * 2**20
    assert model_path(name).with_suffix(".md").is_file()


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_flat_frames_hold_nobody(shade: int) -> None:
    with EdgeCounter(backend="onnxruntime") as counter:
        result = counter.count(np.full((240, 320, 3), shade, np.uint8))
    assert result.count == pytest.approx(0, abs=0.5)
