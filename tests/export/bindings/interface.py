"""C++ objects as TensorRT's libraries give them to its bindings, made of ctypes, without TensorRT.

The bindings reach an engine by the virtual functions of an object behind a pointer. Here an object
is a table of functions in Python, which answer and keep a record of each call. Which slot of the
table is which function differs from version to version: it is learnt, by calling each method of
the bindings once.

For the calling convention of x86-64 on Linux alone: structures that do not fit into registers are
written to an address that comes before the object's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

SLOTS = 128  # more than any class has
_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_size_t, *[ctypes.c_size_t] * 6)
_DESTRUCTORS = 2  # slots of each class before its own

Answer = Callable[..., Any]


class Recorded:
    """Objects whose calls are recorded.

    Attributes:
        calls: (name of the object, name of the function, arguments), oldest first.
        pending: names of the functions that are called next for the first time, in order.

    Args:
        answers: the functions by their names, as "ICudaEngine.getNbLayers". Each gets the object's
            name and the call's arguments as numbers; a tuple is given back as dimensions.
        wide: whether dimensions are 64-bit numbers, as from TensorRT 10 on.
    """

    def __init__(self, answers: dict[str, Answer], *, wide: bool) -> None:
        self.calls: list[tuple[str, str, list[Any]]] = []
        self.pending: list[str] = []
        self._answers, self._side = answers, ctypes.c_int64 if wide else ctypes.c_int32
        self._learnt: dict[tuple[str, int], str] = {}
        self._names: dict[int, str] = {}  # of objects, by the address of their implementation
        self._tables: dict[str, Any] = {}
        self._kept: list[Any] = []

    def make(self, kind: str, name: str) -> int:
        """Make an object of a class, and return its address."""
        if kind not in self._tables:
            self._tables[kind] = self._table(kind)
        own = self._keep((ctypes.c_size_t * 1)(self._tables[kind]))
        self._names[own] = name
        return self._keep((ctypes.c_size_t * 2)(self._destructors(name), own))

    def dims_at(self, address: int) -> tuple[int, ...]:
        """Read dimensions: their number, and eight sides."""
        number = ctypes.c_int32.from_address(address).value
        first = address + ctypes.sizeof(self._side)  # which the number is padded to
        return tuple((self._side * number).from_address(first))

    def learn(self, functions: Sequence[str], call: Callable[[], object]) -> None:
        """Call a method of the bindings that calls these functions for the first time, in order."""
        self.pending = list(functions)
        call()
        assert not self.pending, f"not called: {self.pending}"
        self.calls.clear()

    def _keep(self, thing: Any) -> int:
        self._kept.append(thing)
        return ctypes.addressof(thing)

    def _table(self, kind: str) -> int:
        """Return the address of a class's virtual functions."""
        functions = [_FUNCTION(self._slot(kind, index)) for index in range(SLOTS)]
        self._kept.append(functions)
        return self._keep((_FUNCTION * SLOTS)(*functions))

    def _destructors(self, name: str) -> int:
        """Return the address of an object's outer table, which has its destructors alone."""

        def delete(*_: int) -> int:
            self.calls.append((name, "delete", []))
            return 0

        function = _FUNCTION(delete)
        address = ctypes.cast(function, ctypes.c_void_p).value
        # Before the functions: the offset of the whole object, and its type, which must be one
        # that the bindings do not know, so that they take what they were promised.
        foreign = ctypes.addressof(ctypes.c_size_t.in_dll(_standard(), "_ZTISt9exception"))
        table = (ctypes.c_size_t * 4)(0, foreign, address, address)
        self._kept.append(function)
        return self._keep(table) + 2 * ctypes.sizeof(ctypes.c_size_t)

    def _slot(self, kind: str, index: int) -> Callable[..., int]:
        def call(first: int, second: int, *rest: int) -> int:
            if first in self._names:
                target, this, arguments = 0, first, (second, *rest)
            else:
                target, this, arguments = first, second, rest
            if (kind, index) not in self._learnt:
                if not self.pending:
                    self.calls.append((self._names[this], f"{kind}: slot {index}", []))
                    return 0
                self._learnt[kind, index] = self.pending.pop(0)
            name = self._learnt[kind, index]
            given, answer = self._answers[name](self._names[this], *arguments)
            self.calls.append((self._names[this], name.partition(".")[2], given))
            if isinstance(answer, tuple):
                self._write(target, answer)
                return target
            return int(answer or 0)

        return call

    def _write(self, address: int, dims: tuple[int, ...]) -> None:
        ctypes.c_int32.from_address(address).value = len(dims)
        first = address + ctypes.sizeof(self._side)
        for index, side in enumerate(dims):
            self._side.from_address(first + index * ctypes.sizeof(self._side)).value = side


def _standard() -> ctypes.CDLL:
    return ctypes.CDLL("libstdc++.so.6")


def text_at(address: int) -> str:
    """Read a C string."""
    return ctypes.string_at(address).decode()


def int32(number: int) -> int:
    """Return the lower half of a register, which is what a 32-bit number has of it."""
    return number & 0xFFFFFFFF
