"""Functions in ONNX files that grow beyond all bounds when they are written out."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from graphs import small_model
from onnx import helper

from edgecount.errors import ModelError
from edgecount.runtime.models.onnx_functions import check_functions

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]


def with_functions(path: Path, levels: int, *, circle: bool = False) -> Path:
    """Write a model whose Relu is a function of so many levels, each of which calls two below."""
    model = small_model()
    for level in range(levels):
        domain, inner = ("own", f"F{level - 1}") if level else ("", "Relu")
        if circle and level == 0:
            domain, inner = "own", f"F{levels - 1}"
        nodes = [
            helper.make_node(inner, ["x"], ["between"], domain=domain),
            helper.make_node(inner, ["between"], ["y"], domain=domain),
        ]
        made = helper.make_function("own", f"F{level}", ["x"], ["y"], nodes, OPSETS)
        model.functions.append(made)
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.op_type, node.domain = f"F{levels - 1}", "own"
    model.opset_import.append(OPSETS[1])
    onnx.save(model, path)
    return path


def test_a_few_are_fine(tmp_path: Path) -> None:
    check_functions(with_functions(tmp_path / "few.onnx", 5))


def test_thirty_levels_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"written out, are 1073741834 nodes, expected at most"):
        check_functions(with_functions(tmp_path / "many.onnx", 30))


def test_circles_and_depths_are_refused(tmp_path: Path) -> None:
    for path in (
        with_functions(tmp_path / "circle.onnx", 3, circle=True),
        with_functions(tmp_path / "deep.onnx", 2000),
    ):
        with pytest.raises(ModelError, match="in circles, or too deeply"):
            check_functions(path)
