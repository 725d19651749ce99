"""Activation memory of TensorRT's contexts, which one worker's contexts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecount.runtime.backends.device_tensors import reserve

if TYPE_CHECKING:
    from edgecount._ext import DeviceBuffer

# Frames that leave half of the memory idle before it is given back: some ten seconds of a camera.
# Rounds of several cameras, and photos, change their size with every frame or so.
PATIENCE = 256


@dataclass
class MemoryHint:
    """Bytes that an engine's contexts took last: the next one is likely to take as many."""

    nbytes: int = 0


class ContextMemory:
    """The activation memory of a worker's contexts, of which one runs at a time.

    By itself TensorRT takes memory for the engine's largest shape, in each context. This one grows
    with the shapes that are used, and is given back when half of it has been idle for long.

    Attributes:
        replaced: how often it was replaced. Contexts that were given the memory before must `fit`
            again, and their graphs are of no use.

    Args:
        most: bytes that the engine's largest shape takes.
        device: number of the GPU.
        hint: shared by the contexts of an engine.

    Raises:
        BackendError: the GPU has too little left for what the engine's last context took. So it
            fails where a context is opened, and not in the middle of its frames.
    """

    def __init__(self, most: int, device: int, hint: MemoryHint) -> None:
        self._most, self._device, self._hint = most, device, hint
        self._buffer: DeviceBuffer | None = None
        self._recent = self._idle = self.replaced = 0
        if hint.nbytes:
            self._buffer = self._reserve(hint.nbytes)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return 0 if self._buffer is None else self._buffer.nbytes

    def fit(self, context: Any) -> int:
        """Give a context as much memory as the shape takes that was set in it.

        Args:
            context: made with memory managed by its user; none of its work may be running.

        Returns:
            How many bytes the shape takes.

        Raises:
            BackendError: the GPU has too little left.
        """
        # 0 means that there was an error, or that this shape takes none. A context whose largest
        # shape takes some refuses to run without memory, so the most is right in both cases.
        needed: int = context.update_device_memory_size_for_shapes() or self._most
        buffer = self._buffer
        if buffer is None or needed > buffer.nbytes:
            buffer = self._replace(needed)
        elif self.is_idle(needed):
            buffer = self._replace(self._recent)
        # For the engine's next context: it then fails where it is opened, if memory is short.
        self._hint.nbytes = buffer.nbytes
        context.set_device_memory(buffer.ptr, buffer.nbytes)
        return needed

    def is_idle(self, needed: int) -> bool:
        """Return whether half of the memory has been idle for long, so that it is time to `fit`.

        Each call counts as one run.

        Args:
            needed: bytes that the run's shape takes.
        """
        self._recent = max(self._recent, needed)
        # Half, so that sizes that vary a little never give memory back and take it again.
        if 2 * needed > self.nbytes:
            self._recent = self._idle = 0
        else:
            self._idle += 1
        return self._idle >= PATIENCE

    def close(self) -> None:
        """Free the memory, once the context is gone."""
        self._buffer = None

    def _replace(self, nbytes: int) -> DeviceBuffer:
        # The old one is freed first: both together may be more than there is.
        self.replaced += 1
        self._buffer = None
        self._buffer = self._reserve(nbytes)
        self._recent = self._idle = 0
        return self._buffer

    def _reserve(self, nbytes: int) -> DeviceBuffer:
        return reserve(nbytes, self._device, "what the engine computes")
