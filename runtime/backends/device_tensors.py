"""A worker's tensors in one piece of GPU memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgecount.errors import BackendError

if TYPE_CHECKING:
    from edgecount._ext import DeviceArray, DeviceBuffer, Stream

_ALIGNMENT = 256  # what cudaMalloc gives, and TensorRT asks for
_SIZES = {"float32": 4, "float16": 2}


class DeviceTensors:
    """Memory for the tensors of one shape after the other; it grows, and never shrinks."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer: DeviceBuffer | None = None

    def arrange(
        self, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str]
    ) -> dict[str, DeviceArray]:
        """Return arrays of these shapes by name, in place of the last ones.

        Raises:
            BackendError: the GPU has no memory left.
        """
        offsets, total = _lay_out(shapes, dtypes)
        buffer = self._reserve(total)
        return {
            name: buffer.array(shape, dtypes[name], offsets[name]) for name, shape in shapes.items()
        }

    def has_room(self, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str]) -> bool:
        """Return whether these arrays fit into the memory that is there already."""
        _, total = _lay_out(shapes, dtypes)
        return self._buffer is not None and self._buffer.nbytes >= total

    def close(self) -> None:
        """Free the memory, once no array uses it any more."""
        self._buffer = None

    def _reserve(self, nbytes: int) -> DeviceBuffer:
        if self._buffer is None or self._buffer.nbytes < nbytes:
            # The old one is freed first: both together may be more than there is.
            self._buffer = None
            self._buffer = reserve(nbytes, self._stream.device, "the model's tensors")
        return self._buffer


def _lay_out(
    shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str]
) -> tuple[dict[str, int], int]:
    """Return each array's offset and the size of all together, in bytes."""
    offsets, total = {}, 0
    for name, shape in shapes.items():
        offsets[name] = total
        size = math.prod(shape) * _SIZES[dtypes[name]]
        total += -(-size // _ALIGNMENT) * _ALIGNMENT
    return offsets, total


def reserve(nbytes: int, device: int, purpose: str) -> DeviceBuffer:
    """Allocate bytes, 1 or more, of a GPU for a purpose, which an error's message names.

    Raises:
        BackendError: there is too little left.
    """
    from edgecount import _ext

    try:
        return _ext.DeviceBuffer(nbytes, device)
    except (RuntimeError, MemoryError) as error:
        raise BackendError(
            f"the GPU has no {nbytes / 2**20:.0f} MiB left for {purpose} ({error}): end other "
            "programs that use it, or count smaller frames or fewer at once"
        ) from error
