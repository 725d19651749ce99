"""Memory for what a context of TensorRT computes on its way from the image to the maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecount.runtime.backends.device_tensors import reserve

if TYPE_CHECKING:
    from edgecount._ext import DeviceBuffer

__all__ = ["ContextMemory", "Usual"]

# Frames that leave half of the memory idle before it is given back: some ten seconds of a camera.
# Rounds of several cameras, and photos, change their size with every frame or so.
PATIENCE = 256


@dataclass
class Usual:
    """What the contexts of an engine took last, in bytes: the next one will take as much."""

    nbytes: int = 0


class ContextMemory:
    """Memory of a worker's contexts, of which one runs at a time, as much as their shapes take.

    By itself TensorRT takes it for the engine's largest shape, in each context. This one grows with
    the shapes and is given back when half of it has been idle for long.

    Attributes:
        replaced: how often that was. Contexts to which it was given before must `fit` again, and
            their graphs are of no use.

    Args:
        most: bytes that the engine's largest shape takes.
        device: number of the GPU.
        usual: of the engine's contexts.

    Raises:
        BackendError: the GPU has too little left for what the engine's last context took. So it
            fails where a context is opened, and not in the middle of its frames.
    """

    def __init__(self, most: int, device: int, usual: Usual) -> None:
        self._most, self._device, self._usual = most, device, usual
        self._buffer: DeviceBuffer | None = None
        self._recent = self._idle = self.replaced = 0
        if usual.nbytes:
            self._buffer = self._reserve(usual.nbytes)

    @property
    def nbytes(self) -> int:
        """How much it is now."""
        return 0 if self._buffer is None else self._buffer.nbytes

    def fit(self, context: Any) -> int:
        """Give the context what the shape takes that was set; nothing in it may be running.

        Args:
            context: made with memory managed by its user.

        Returns:
            How many bytes the shape takes.

        Raises:
            BackendError: the GPU has too little left.
        """
        # 0 means that there was an error, or that this shape takes none. But a context whose
        # largest shape takes some runs none without memory, and the most is right for either.
        needed: int = context.update_device_memory_size_for_shapes() or self._most
        buffer = self._buffer
        if buffer is None or needed > buffer.nbytes:
            buffer = self._replace(needed)
        elif self.is_idle(needed):
            buffer = self._replace(self._recent)
        self._usual.nbytes = buffer.nbytes
        context.set_device_memory(buffer.ptr, buffer.nbytes)
        return needed

    def is_idle(self, needed: int) -> bool:
        """To be asked once a run: whether to `fit` again, to give back what was not used.

        Args:
            needed: bytes that the run's shape takes.
        """
        self._recent = max(self._recent, needed)
        if 2 * needed > self.nbytes:
            self._recent = self._idle = 0
        else:
            self._idle += 1
        return self._idle >= PATIENCE

    def close(self) -> None:
        """Free the memory, once the context is gone."""
        self._buffer = None

    def _replace(self, nbytes: int) -> DeviceBuffer:
        # First back, then anew: both together may be more than there is.
        self.replaced += 1
        self._buffer = None
        self._buffer = self._reserve(nbytes)
        self._recent = self._idle = 0
        return self._buffer

    def _reserve(self, nbytes: int) -> DeviceBuffer:
        return reserve(nbytes, self._device, "what the engine computes")
