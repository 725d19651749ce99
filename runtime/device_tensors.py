"""The tensors of a worker, in one piece of GPU memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgecount.errors import BackendError

if TYPE_CHECKING:
    from edgecount._ext import DeviceArray, DeviceBuffer, Stream

__all__ = ["DeviceTensors"]

_ALIGNMENT = 256  # what cudaMalloc gives, and TensorRT asks for
_SIZES = {"float32": 4, "float16": 2}


class DeviceTensors:
    """Memory for the tensors of one shape after the other; it grows, and never shrinks.

    Args:
        stream: whose work uses the tensors.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer: DeviceBuffer | None = None

    def arrange(
        self, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str]
    ) -> dict[str, DeviceArray]:
        """Arrays of these shapes by name, in place of those before.

        Raises:
            BackendError: the GPU has no memory left.
        """
        offsets, total = {}, 0
        for name, shape in shapes.items():
            offsets[name] = total
            size = math.prod(shape) * _SIZES[dtypes[name]]
            total += -(-size // _ALIGNMENT) * _ALIGNMENT
        buffer = self._reserve(total)
        return {
            name: buffer.array(shape, dtypes[name], offsets[name]) for name, shape in shapes.items()
        }

    def close(self) -> None:
        """Free the memory, once no array uses it any more."""
        self._buffer = None

    def _reserve(self, nbytes: int) -> DeviceBuffer:
        from edgecount import _ext

        if self._buffer is not None and self._buffer.nbytes >= nbytes:
            return self._buffer
        self._buffer = None
        try:
            self._buffer = _ext.DeviceBuffer(nbytes, self._stream.device)
        except (RuntimeError, MemoryError) as error:
            raise BackendError(
                f"the GPU has no {nbytes / 2**20:.0f} MiB left for the model's tensors ({error}): "
                "end other programs that use it, or count smaller frames or fewer at once"
            ) from error
        return self._buffer
