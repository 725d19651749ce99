"""Engines of a process in those that are forked from it, which have none of its threads.

An engine that runs there waits for threads that will never answer, now and then or always, and one
that is freed there waits for them or aborts the process: what Python drops must not be freed.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Any

from edgecount.errors import BackendError

_owned: weakref.WeakSet[Any] = weakref.WeakSet()
_inherited: list[Any] = []


def leave_to_parent(engine: Any) -> None:
    """Let no forked process free an engine, or whatever else holds threads in C++.

    Args:
        engine: can be referenced weakly and hashed; it is freed as usual in this process.
    """
    _owned.add(engine)


def check_process(name: str, process: int) -> None:
    """Refuse to run an engine that another process has opened.

    Args:
        name: name of the backend.
        process: number of the process that opened it.

    Raises:
        BackendError: this is a fork of that.
    """
    if process != os.getpid():
        raise BackendError(f"{name} was opened before a fork: open a counter in the child")


def _keep_inherited() -> None:
    """Keep the parent's engines until the process has ended, the end of the interpreter included.

    The list has a reference that nobody gives back.
    """
    if not _inherited:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_inherited))
    _inherited.extend(_owned)
    _owned.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_inherited)
