"""Facts of ONNX files, which agree with those that the onnx package reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgecount.errors import ModelError
from edgecount.runtime.models.onnx_facts import (
    check_unchanged,
    files_state,
    has_control_flow,
    read_onnx_facts,
)


def test_facts_agree_with_onnx(tiny_model: Path, make_model: Callable[..., Path]) -> None:
    for path in (tiny_model, make_model(roles=("density",), unit=100.0)):
        model = onnx.load(path)
        facts = read_onnx_facts(path)
        assert facts.size == path.stat().st_size
        assert facts.opset == 17
        floats = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
        assert facts.parameters == sum(numpy_helper.to_array(t).size for t in floats)


def test_other_operator_sets_and_weights_beside_the_file(tiny_model: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_model)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 99))
    path = tmp_path / "apart.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    facts = read_onnx_facts(path)
    assert facts.opset == 17
    assert facts.parameters == read_onnx_facts(tiny_model).parameters
    assert facts.size == path.stat().st_size + (tmp_path / "weights").stat().st_size
    (tmp_path / "weights").unlink()
    assert read_onnx_facts(path).size == path.stat().st_size


@pytest.mark.parametrize("kept", [0, 1, 30, -40])
def test_a_cut_file_is_an_error(tiny_model: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny_model.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"cut\.onnx"):
        read_onnx_facts(path)


def test_a_file_that_was_replaced_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny_model.read_bytes())
    state = files_state(path)
    check_unchanged(path, state)
    check_unchanged(None, files_state(None))  # a model without a file stays what it is
    path.write_bytes(tiny_model.read_bytes() + b" ")
    with pytest.raises(ModelError, match=r"m\.onnx was replaced since it was opened"):
        check_unchanged(path, state)


def test_loops_and_conditions_are_seen_also_in_functions(tiny_model: Path, tmp_path: Path) -> None:
    assert not has_control_flow(tiny_model)
    always = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True)))
    body = helper.make_graph([always], "body", [], [])
    choice = helper.make_node("If", ["c"], ["out"], then_branch=body, else_branch=body)

    inside = onnx.load(tiny_model)
    inside.graph.node.append(choice)
    onnx.save(inside, tmp_path / "inside.onnx")
    assert has_control_flow(tmp_path / "inside.onnx")

    called = onnx.load(tiny_model)
    opset = [helper.make_opsetid("", 17)]
    called.functions.append(helper.make_function("own", "Choice", ["c"], ["out"], [choice], opset))
    onnx.save(called, tmp_path / "called.onnx")
    assert has_control_flow(tmp_path / "called.onnx")
