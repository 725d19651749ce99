"""The compiled forms of a model: one for images of any size, and a few for one size each.

A model that is compiled for one size is 4 to 7% faster (benchmarks/results/sizes-2026-11-29.md),
and compiling it takes as long as some five to thirty frames. A camera deserves one, and each photo
of a folder with many sizes does not.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgecount.errors import BackendError, EdgeCountError
from edgecount.runtime.backends.calls import in_hand
from edgecount.runtime.backends.forks import leave_to_parent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.runtime.backends.openvino.cache import Shape

MOST = 4  # forms of one size that are kept: each holds its own weights and buffers
# A size gets a form of its own when frames of it have taken so many times as long as compiling
# does: at most an eighth of the time is then lost on sizes that do not come again.
PATIENCE = 8.0
_USUAL = 1.0  # s that compiling is taken for until it was measured

_log = logging.getLogger(__name__)


class Form:
    """A compiled model with the requests that run it, each lent to one thread at a time."""

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self._idle: list[Any] = []  # the last is the one whose buffers are likely in the caches
        leave_to_parent(self)

    @property
    def is_dynamic(self) -> bool:
        """Whether it takes images of more than one size."""
        return bool(self.compiled.inputs[0].partial_shape.is_dynamic)

    def infer(self, tensor: NDArray[Any], outputs: list[int]) -> list[NDArray[np.float32]]:
        """Return copies of these outputs for the image tensor, which is read in its place."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self.compiled.create_infer_request()
        # One that fails is not used again.
        # A run that is waited for by itself (`infer`) does not always look whether to end. The
        # shared tensor is replaced by the next frame's, and never written to.
        with in_hand(request.cancel):
            request.start_async({0: tensor}, share_inputs=True)
            request.wait()
        values = [request.get_output_tensor(index).data.copy() for index in outputs]
        self._idle.append(request)
        return values


class Forms:
    """All compiled forms of one model. Several threads may use it at once.

    Args:
        make: compiles the model for a shape, or for any (None), or loads what was compiled.
        any_size: whether the device can have a form for any size.
        is_kept: whether there is a form for a shape on the disk.
        most: forms of one size that are kept, those used last.
        patience: see `PATIENCE`.
    """

    def __init__(
        self,
        make: Callable[[Shape], Any],
        *,
        any_size: bool,
        is_kept: Callable[[Shape], bool],
        most: int = MOST,
        patience: float = PATIENCE,
    ) -> None:
        self._make, self._is_kept = make, is_kept
        self._most, self._patience = most, patience
        self._lock = threading.Lock()
        self._of_size: OrderedDict[Shape, Form] = OrderedDict()
        self._spent: dict[Shape, float] = {}  # s in the form for any size; -inf: leave it there
        self._busy: set[Shape] = set()
        self._cost = _USUAL
        self._closed = False
        self._any = self._timed(None) if any_size else None
        # A file that takes one size alone has nothing to gain.
        self.is_static = self._any is not None and not self._any.is_dynamic

    def infer(self, tensor: NDArray[Any], outputs: list[int]) -> list[NDArray[np.float32]]:
        """Return copies of these outputs for an image tensor (B, 3, H, W).

        Raises:
            BackendError: it is closed.
            RuntimeError: the engine failed.
        """
        shape = tensor.shape
        form = self._form(shape)
        start = time.perf_counter()
        values = form.infer(tensor, outputs)
        if form is self._any:
            spent = time.perf_counter() - start
            with self._lock:
                self._spent[shape] = self._spent.get(shape, 0.0) + spent
        return values

    def shapes(self) -> list[Shape]:
        """Return the shapes that have a form of their own, the one used last at the end."""
        with self._lock:
            return list(self._of_size)

    def close(self) -> None:
        """Free the forms; what is being computed is computed to its end."""
        with self._lock:
            self._closed, self._any = True, None
            self._of_size.clear()

    def _form(self, shape: Shape) -> Form:
        """Return the form for a shape; compile one if it is time to."""
        with self._lock:
            if self._closed:
                raise BackendError("openvino: the backend is closed")
            found = self._of_size.get(shape)
            if found is not None:
                self._of_size.move_to_end(shape)
                return found
            if self._any is not None and not self._is_due(shape):
                return self._any
            self._busy.add(shape)
            fallback = self._any
        try:
            return self._add(shape)
        except EdgeCountError as error:
            if fallback is None:
                raise
            _log.info("size %s runs without a compiled model of its own: %s", shape, error)
            with self._lock:
                self._spent[shape] = float("-inf")
            return fallback
        finally:
            with self._lock:
                self._busy.discard(shape)

    def _is_due(self, shape: Shape) -> bool:
        if self.is_static or shape in self._busy:
            return False
        if shape not in self._spent:  # the first frame of this size
            return len(self._of_size) < self._most and self._is_kept(shape)
        return self._spent[shape] > self._patience * self._cost

    def _add(self, shape: Shape) -> Form:
        form = self._timed(shape)
        with self._lock:
            # A size that is dropped must earn its form anew.
            self._spent[shape] = 0.0
            if not self._closed:
                self._of_size[shape] = form
                while len(self._of_size) > self._most:
                    self._of_size.popitem(last=False)
        return form

    def _timed(self, shape: Shape) -> Form:
        """Make a form, and note how long that takes if it is compiled and not loaded."""
        loaded, start = self._is_kept(shape), time.perf_counter()
        form = Form(self._make(shape))
        if not loaded:
            self._cost = time.perf_counter() - start
        return form
