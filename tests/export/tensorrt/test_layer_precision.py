"""Counting layers by precision in what TensorRT's inspector tells."""

from __future__ import annotations

import json

import pytest

from edgecount.errors import BackendError
from edgecount.export.tensorrt.layer_precision import check_precision, describe, engine_precisions


def layer(kind, source, target, **more):
    """A layer as TensorRT 8.6 to 10 write it when they are asked for details."""
    entry = {"Dimensions": [1, 8, 64, 64], "Location": "Device"}
    return {
        "Name": kind.lower(),
        "LayerType": kind,
        "Inputs": [{"Name": "a", "Format/Datatype": source, **entry}],
        "Outputs": [{"Name": "b", "Format/Datatype": target, **entry}],
        "TacticValue": "0x0",
        **more,
    }


NOT_SAID = "N/A due to dynamic shapes"


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (
            [
                layer("Reformat", "Row major linear FP32", "Channel major FP16 format"),
                layer("CaskConvolution", "Channel major FP16 format", "Channel major FP16 format"),
                layer("CaskConvolution", "Row major linear FP32", "Row major linear FP32"),
            ],
            {"fp16": 1, "fp32": 1},
        ),
        (
            [
                layer(
                    "CaskConvolution", "Thirty-two wide channel vectorized row major Int8", "Half"
                ),
                layer("kgen", "Half", "Half"),
                layer("gemm", "Float", "Float"),
                layer("NoOp", "Float", "Float"),
            ],
            {"fp16": 1, "fp32": 1, "int8": 1},
        ),
        (
            [
                layer("CaskConvolution", NOT_SAID, NOT_SAID, Weights={"Type": "Int8", "Count": 9}),
                layer("CaskConvolution", NOT_SAID, NOT_SAID, Weights={"Type": "Half", "Count": 9}),
                layer("PointWiseV2", NOT_SAID, NOT_SAID),
            ],
            {"fp16": 1, "int8": 1, "unknown": 1},
        ),
        (["conv1 + relu1"], {"unknown": 1}),
        ([], {}),
    ],
)
def test_precisions_of_an_engine(layers, expected):
    assert engine_precisions(json.dumps({"Layers": layers, "Bindings": ["a", "b"]})) == expected


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("fp32", {"fp32": 9}),
        ("fp32", {"fp32": 9, "unknown": 3}),
        ("fp32", {}),
        ("fp16", {"fp16": 1, "fp32": 9}),
        ("int8", {"int8": 1, "fp16": 4, "fp32": 9}),
    ],
)
def test_precisions_that_agree(asked, found):
    check_precision(asked, found, "the engine", "never said")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("fp32", {"fp16": 1, "fp32": 9}),
        ("fp16", {"fp32": 9}),
        ("fp16", {"fp16": 1, "int8": 8}),
        ("fp16", {"unknown": 4}),
        ("int8", {"fp16": 9}),
        ("int8", {}),
    ],
)
def test_precisions_that_contradict(asked, found):
    with pytest.raises(BackendError, match=f"asked for {asked}, and the engine has .*: do this"):
        check_precision(asked, found, "the engine", "do this")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"fp16": 20, "fp32": 2}, "20 layers in fp16, 2 in fp32"),
        ({"int8": 1}, "1 layer in int8"),
        ({}, "no layers"),
    ],
)
def test_counts_in_words(found, text):
    assert describe(found) == text
