"""Engines that the tests of the TensorRT backend share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend
from edgecount.runtime.models.engines import Engine
from edgecount.runtime.models.model_file import ModelFile

Make = Callable[..., Engine]


def image(batch: int = 1, height: int = 64, width: int = 96, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, (batch, 3, height, width)).astype(np.float32)


def on_host(model: ModelFile, pixels: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    with OnnxRuntimeBackend(model, threads=1) as reference:
        return reference.infer({"image": pixels})


def assert_same(found: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def run_in_threads(number: int, function: Callable[[int], None]) -> None:
    """Call a function with 0, 1, ..., each in a thread; raises what one of them raised."""
    failures: list[BaseException] = []

    def run(index: int) -> None:
        try:
            function(index)
        except BaseException as error:  # noqa: BLE001 (raised below)
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
