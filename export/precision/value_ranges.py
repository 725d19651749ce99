"""Measure the largest values of a network's tensors, which a smaller float type has to reach."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecount.export.graph.queries import FreeNames, apart_from_pixels, float_tensors
from edgecount.export.graph.session import open_session
from edgecount.runtime.backends.onnxruntime.calls import run_session

if TYPE_CHECKING:
    import onnx


def largest_magnitudes(
    model: onnx.ModelProto,
    feeds: Sequence[Mapping[str, NDArray[np.float32]]],
    *,
    threads: int | None = None,
    progress: Callable[[], None] | None = None,
) -> dict[str, float]:
    """Return the largest magnitude of every float32 tensor that is computed from the image.

    Returns:
        Tensor to its largest magnitude, 0 if it has no values; NaNs are passed over.
    """
    shapes = apart_from_pixels(model)
    names = [name for node, name in float_tensors(model) if node.name not in shapes]
    watching, ends = _with_ends(model, names)
    session = open_session(watching, threads)
    largest = dict.fromkeys(names, 0.0)
    for feed in feeds:
        low, high = np.reshape([float(end) for end in run_session(session, ends, feed)], (2, -1))
        # The minimum of no values is infinity.
        reached = np.where(low > high, 0.0, np.maximum(np.abs(low), np.abs(high)))
        for name, value in zip(names, reached, strict=True):
            largest[name] = max(largest[name], float(value))
        for name, tensor in feed.items():
            largest[name] = max(largest.get(name, 0.0), float(np.abs(tensor).max(initial=0)))
        if progress:
            progress()
    return largest


def _with_ends(model: onnx.ModelProto, names: Sequence[str]) -> tuple[onnx.ModelProto, list[str]]:
    """Return a copy whose outputs are each tensor's minimum and maximum, all minima first.

    The tensors themselves, fetched all at once, may not fit in memory.
    """
    from onnx import TensorProto, helper

    made = copy.deepcopy(model)
    del made.graph.output[:]
    fresh = FreeNames(model)
    ends = []
    for operator in ("ReduceMin", "ReduceMax"):
        for name in names:
            end = fresh.free(f"{name}_{operator}")
            label = fresh.free(f"{end}_of")
            made.graph.node.append(helper.make_node(operator, [name], [end], label, keepdims=0))
            made.graph.output.append(helper.make_tensor_value_info(end, TensorProto.FLOAT, []))
            ends.append(end)
    return made, ends
