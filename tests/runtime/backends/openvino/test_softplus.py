"""Softplus where OpenVINO's own is too coarse."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino", reason='needs pip install "edgecount[openvino]"')

from edgecount.runtime.backends.openvino import library
from edgecount.runtime.backends.openvino.softplus import needs_exact_softplus, replace_softplus

VALUES = np.concatenate([np.linspace(-90, 90, 361), [-1e-6, 0, 1e-6, 19.9, 20.1]]).astype(
    np.float32
)


def make_model() -> Any:
    openvino = library.load_openvino()
    op = openvino.opset8
    given = op.parameter([len(VALUES)], np.float32, name="x")
    return openvino.Model([op.softplus(op.multiply(given, op.constant(np.float32(1))))], [given])


def computed(model: Any) -> Any:
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return library.core().compile_model(model, "CPU", exact)([VALUES])[0]


def test_it_is_softplus() -> None:
    model = make_model()
    replace_softplus(model)
    assert "SoftPlus" not in {node.get_type_name() for node in model.get_ops()}
    wanted = np.logaddexp(0, VALUES.astype(np.float64))
    np.testing.assert_allclose(computed(model), wanted, rtol=1e-6, atol=1e-30)


def test_a_model_without_one_is_left_alone() -> None:
    openvino = library.load_openvino()
    given = openvino.opset8.parameter([len(VALUES)], np.float32)
    model = openvino.Model([openvino.opset8.relu(given)], [given])
    before = [node.get_type_name() for node in model.get_ops()]
    replace_softplus(model)
    assert [node.get_type_name() for node in model.get_ops()] == before


@pytest.mark.parametrize(
    ("machine", "needs"), [("aarch64", True), ("arm64", True), ("x86_64", False), ("AMD64", False)]
)
def test_processors(machine: str, needs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert needs_exact_softplus() is needs
