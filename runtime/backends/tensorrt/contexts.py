"""Context slots: TensorRT's execution contexts, each set up for one shape."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecount.runtime.backends.device import Bound
    from edgecount.runtime.backends.tensorrt.context_memory import ContextMemory
    from edgecount.runtime.models.sidecar import Shape

# Rounds of one, two, four and eight cameras, of two sizes. A context without activation memory of
# its own is small.
_KEPT = 8


@dataclass(eq=False)
class ContextSlot:
    """An execution context that is set up for one shape.

    Attributes:
        context: the context.
        bound: where its tensors lie; None where their addresses have to be set again.
        needed: bytes of activation memory that the shape takes, as `ContextMemory.fit` reported.
        capturable: whether it has run for the shape and a CUDA graph can record it.
    """

    context: Any
    bound: Bound | None = None
    needed: int = 0
    capturable: bool = False


class ContextSlots:
    """The slots of the shapes that were used last; they run one at a time and share their memory.

    A CUDA graph of a context holds only while its shape stays as it is. So shapes that come by
    turns have a context each.

    Args:
        first: the first context.
        open_more: opens another, or returns None where there is no room. None: one has to do.
        memory: the activation memory of all; None: the first context has its own, and there are no
            others.
    """

    def __init__(
        self, first: Any, open_more: Callable[[], Any] | None, memory: ContextMemory | None
    ) -> None:
        self._free, self._memory = first, memory
        self._open_more = None if memory is None else open_more
        self._slots: OrderedDict[Shape, ContextSlot] = OrderedDict()

    def find(self, shape: Shape) -> ContextSlot | None:
        """Return the slot of a shape if it can run as it is; each call counts as one run."""
        found = self._slots.get(shape)
        if found is None or found.bound is None:
            return None
        if self._memory is not None and self._memory.is_idle(found.needed):
            return None
        self._slots.move_to_end(shape)
        return found

    def renew(self, shape: Shape) -> ContextSlot:
        """Return a slot to be set up for a shape, if need be in place of the oldest one."""
        found = self._slots.pop(shape, None)
        self._slots[shape] = ContextSlot(self._context() if found is None else found.context)
        return self._slots[shape]

    def give_memory(self, slot: ContextSlot) -> None:
        """Give a slot the memory that the shape takes which was set in its context.

        Nothing in any of the contexts may be running.

        Raises:
            BackendError: the GPU has too little left.
        """
        if self._memory is None:
            return
        before = self._memory.replaced
        try:
            slot.needed = self._memory.fit(slot.context)
        finally:
            if self._memory.replaced != before:
                self.invalidate()

    def invalidate(self) -> None:
        """Mark all slots to be set up again: memory has moved, and their graphs are of no use."""
        for slot in self._slots.values():
            slot.bound, slot.capturable = None, False

    def close(self) -> None:
        """Free the contexts."""
        self._free = self._open_more = None
        self._slots.clear()

    def _context(self) -> Any:
        """Return a context for a new slot: the first, one more, or that of the oldest slot."""
        if not self._slots:
            context, self._free = self._free, None
            return context
        if self._open_more is not None and len(self._slots) < _KEPT:
            context = self._open_more()
            if context is not None:
                return context
        _, oldest = self._slots.popitem(last=False)
        return oldest.context
