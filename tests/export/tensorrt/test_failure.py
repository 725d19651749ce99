"""Advice for builds that TensorRT gave up, from what it says in such cases."""

from __future__ import annotations

import re

import pytest

from edgecount.export.tensorrt.network import failure

NO_KERNEL = "Error Code 10: Internal Error (Could not find any implementation for node conv1)"
OUT_OF_MEMORY = "[defaultAllocator.cpp::allocate::19] Error Code 1: Cuda Runtime (out of memory)"


@pytest.mark.parametrize(
    ("problems", "workspace", "expected"),
    [
        ([OUT_OF_MEMORY], None, "too little memory: .*`workspace` such as 1024 MiB"),
        ([OUT_OF_MEMORY], 4096, "too little memory: .*`workspace` below 4096 MiB"),
        (["std::bad_alloc", "other"], None, "too little memory"),
        ([NO_KERNEL], 16, "a `workspace` of 16 MiB is too little"),
        ([NO_KERNEL], None, "too little memory"),
        (["Error Code 4: API Usage Error (odd)"], None, "odd.*level DEBUG"),
        ([], 16, "it gave no reason.*level DEBUG"),
    ],
)
def test_advice_follows_the_log(problems, workspace, expected):
    error = failure("TensorRT 10.3.0 could not build the engine", problems, workspace)
    assert str(error).startswith("TensorRT 10.3.0 could not build the engine (")
    assert re.search(expected, str(error))
