"""Contexts of TensorRT, each ready for one shape."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecount.runtime.backends.device import Bound
    from edgecount.runtime.backends.tensorrt.context_memory import ContextMemory
    from edgecount.runtime.models.sidecar import Shape

__all__ = ["Contexts", "Ready"]

# Rounds of one, two, four and eight cameras, of two sizes. A context without memory of its own for
# what it computes is small.
_KEPT = 8


@dataclass(eq=False)
class Ready:
    """A context and the shape that it is made ready for.

    Attributes:
        context: of TensorRT.
        bound: where its tensors lie; None where they have to be set again.
        needed: bytes that it computes in, as `ContextMemory.fit` told.
        capturable: it has run for the shape, and a CUDA graph can record it.
    """

    context: Any
    bound: Bound | None = None
    needed: int = 0
    capturable: bool = False


class Contexts:
    """Those for the shapes that were used last; they run one at a time and share their memory.

    A graph that was recorded of a context holds only while its shape stays as it is. So shapes that
    come by turns have a context each.

    Args:
        first: there is always one.
        open_more: opens another; it returns None where there is no room. None: one has to do.
        lent: what they compute in; None: the first has memory of its own, and there are no others.
    """

    def __init__(
        self, first: Any, open_more: Callable[[], Any] | None, lent: ContextMemory | None
    ) -> None:
        self._free, self._lent = first, lent
        self._open_more = None if lent is None else open_more
        self._ready: OrderedDict[Shape, Ready] = OrderedDict()

    def find(self, shape: Shape) -> Ready | None:
        """The one for a shape, if nothing has to be set for it; to be asked once a run."""
        found = self._ready.get(shape)
        if found is None or found.bound is None:
            return None
        if self._lent is not None and self._lent.is_idle(found.needed):
            return None
        self._ready.move_to_end(shape)
        return found

    def take(self, shape: Shape) -> Ready:
        """The one for a shape, which is to be made ready; perhaps in place of the oldest."""
        found = self._ready.pop(shape, None)
        self._ready[shape] = Ready(self._take_free() if found is None else found.context)
        return self._ready[shape]

    def lend(self, ready: Ready) -> None:
        """Lend one the memory that its shape takes, which was set; nothing in it may be running.

        Raises:
            BackendError: the GPU has too little left.
        """
        if self._lent is None:
            return
        before = self._lent.replaced
        try:
            ready.needed = self._lent.fit(ready.context)
        finally:
            if self._lent.replaced != before:
                self.forget()

    def forget(self) -> None:
        """Memory has moved: all of them have to be set again, and their graphs are dropped."""
        for one in self._ready.values():
            one.bound, one.capturable = None, False

    def close(self) -> None:
        """Free them."""
        self._free = self._open_more = None
        self._ready.clear()

    def _take_free(self) -> Any:
        if not self._ready:
            context, self._free = self._free, None
            return context
        if self._open_more is not None and len(self._ready) < _KEPT:
            context = self._open_more()
            if context is not None:
                return context
        _, oldest = self._ready.popitem(last=False)
        return oldest.context
