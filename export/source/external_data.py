"""Load ONNX files whose weights lie in other files, as PyTorch's exporter often writes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import ModelError

if TYPE_CHECKING:
    import onnx

# Protobuf ends at 2 GiB. What is kept free holds the graph with its shapes, and the manifest.
MAX_BYTES = 2**31 - 2**24


def load_whole(path: Path) -> onnx.ModelProto:
    """Load a model with all of its weights.

    Raises:
        ModelError: a file with weights is missing or cut off, or they are more than one file holds.
    """
    import onnx
    from onnx.external_data_helper import uses_external_data

    model = onnx.load(path, load_external_data=False)
    outside = [tensor for tensor in _tensors(model.graph) if uses_external_data(tensor)]
    check_size(path, model.ByteSize() + sum(_bytes_of(tensor) for tensor in outside))
    _check_files(path, outside)
    onnx.load_external_data_for_model(model, str(path.parent))
    return model


def check_size(name: Path | str, size: int) -> None:
    """Refuse a model of this size in bytes, weights and graph, if no .onnx can hold it alone.

    Raises:
        ModelError: it is too large.
    """
    if size > MAX_BYTES:
        raise ModelError(
            f"{name} takes {size / 1e9:.2f} GB, expected at most {MAX_BYTES / 1e9:.2f} GB, all "
            "that an exported .onnx can hold: export a smaller network; an .onnx with its weights "
            "beside it can be counted with as it is"
        )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield the graph's weights and constants, those of its branches and loops among them."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _bytes_of(tensor: onnx.TensorProto) -> int:
    import onnx

    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return int(math.prod(tensor.dims) * dtype.itemsize)


def _check_files(path: Path, outside: Sequence[onnx.TensorProto]) -> None:
    ends: dict[str, int] = {}
    for tensor in outside:
        stored = {entry.key: entry.value for entry in tensor.external_data}
        name = stored.get("location", "")
        end = int(stored.get("offset", 0)) + int(stored.get("length", _bytes_of(tensor)))
        ends[name] = max(end, ends.get(name, 0))
    for name, end in ends.items():
        file = path.parent / name
        if not file.is_file():
            raise ModelError(
                f"{path} keeps its weights in {name!r}, and {file} is not there: put it there, "
                "under that name"
            )
        if file.stat().st_size < end:
            raise ModelError(
                f"{file}, which holds weights of {path}, is cut off: expected {end} bytes, got "
                f"{file.stat().st_size}: copy it again"
            )
