"""Streams for asyncio: each is iterated by a thread of its own, one result at each request."""

from __future__ import annotations

import asyncio
import queue
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from edgecount.errors import SourceError

if TYPE_CHECKING:
    from edgecount._stream import Stream

Item = TypeVar("Item")

Request: TypeAlias = "tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]]"
Requests: TypeAlias = "queue.SimpleQueue[Request | None]"

_END = object()
_LONGEST_JOIN = 10.0  # s that closing waits for an engine that hangs


class ErrorTeller:
    """A callback of a stream's thread that calls a function in the event loop.

    Args:
        on_error: called by the loop; what it raises ends the stream and is raised there.
    """

    def __init__(self, on_error: Callable[[SourceError], object]) -> None:
        self._on_error = on_error
        self.request: Request | None = None  # the one that is being served

    def __call__(self, error: SourceError) -> None:
        """Let the loop call the function, before it goes on with the next result."""
        if self.request is not None:
            loop, future = self.request
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._call, error, future)

    def _call(self, error: SourceError, future: asyncio.Future[Any]) -> None:
        try:
            self._on_error(error)
        except Exception as raised:  # noqa: BLE001 (raised where the result is awaited)
            if not future.done():
                future.set_exception(_for_future(raised))


async def call_in_thread(call: Callable[[], Item]) -> Item:
    """Return what a call returns, or raise what it raises, in a thread of asyncio's."""

    def run() -> Item:
        try:
            return call()
        except StopIteration as error:
            raise _for_future(error) from error

    return await asyncio.to_thread(run)


async def iterate(
    stream: Stream[Item], teller: ErrorTeller | None = None
) -> AsyncGenerator[Item, None]:
    """Yield the results of a stream, each counted when it is asked for.

    Cancelling or closing it stops the stream, and returns when its thread has ended.
    """
    steps = _Steps(stream, teller)
    try:
        while True:
            item = await steps.next()
            if item is _END:
                return
            yield item
            del item  # not kept while the next one is counted
    finally:
        await steps.close()


class _Steps(Generic[Item]):
    """A thread that takes one step of a stream at each request."""

    def __init__(self, stream: Stream[Item], teller: ErrorTeller | None) -> None:
        requests: Requests = queue.SimpleQueue()
        # The thread knows nothing of this object, so that it ends when nobody holds that any more.
        thread = threading.Thread(
            target=_serve,
            args=(stream.results, requests, teller),
            name="edgecount-async",
            daemon=True,
        )
        thread.start()
        self._requests = requests
        self._end = partial(_end, stream, requests, thread)
        self._finalizer = weakref.finalize(self, _run_in_thread, self._end)
        self._finalizer.atexit = False

    async def next(self) -> Any:
        """Return the next result, or the mark of the end."""
        request: Request = (loop := asyncio.get_running_loop()), loop.create_future()
        self._requests.put(request)
        return await request[1]

    async def close(self) -> None:
        """Stop the stream, and wait for the thread without keeping the loop from its work."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # it is gone, and the stream is collected as garbage
            self._finalizer()
            return
        self._finalizer.detach()
        ended: asyncio.Future[None] = loop.create_future()

        def end() -> None:
            self._end()
            _deliver((loop, ended), None)

        _run_in_thread(end)
        await ended


def _serve(
    results: Generator[Any, None, None], requests: Requests, teller: ErrorTeller | None
) -> None:
    with closing(results):
        while (request := requests.get()) is not None:
            if teller is not None:
                teller.request = request
            _step(results, request)
            # Whoever awaited it holds the object that stops this thread: of a loop that was closed
            # meanwhile nothing else does.
            del request
            if teller is not None:
                teller.request = None


def _step(results: Generator[Any, None, None], request: Request) -> None:
    try:
        _deliver(request, next(results, _END))
    except BaseException as error:  # noqa: BLE001 (raised where the result is awaited)
        _deliver(request, None, error)


def _deliver(request: Request, item: object, error: BaseException | None = None) -> None:
    def settle() -> None:
        if future.done():  # nobody waits any more
            return
        if error is None:
            future.set_result(item)
        else:
            future.set_exception(_for_future(error))

    loop, future = request
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(settle)


def _for_future(error: BaseException) -> BaseException:
    """Return an error as futures of asyncio take it: a StopIteration they refuse."""
    if not isinstance(error, StopIteration):
        return error
    told = RuntimeError("raised StopIteration")
    told.__cause__ = error
    return told


def _end(stream: Stream[Any], requests: Requests, thread: threading.Thread) -> None:
    stream.stop()
    requests.put(None)
    thread.join(_LONGEST_JOIN)


def _run_in_thread(call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the interpreter ends, and with it all threads
        threading.Thread(target=call, name="edgecount-async-end", daemon=True).start()
