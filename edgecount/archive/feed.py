"""Images as a source of frames, each of which may fail by itself."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from edgecount.archive.images import Images
from edgecount.errors import SourceError
from edgecount.runtime.frames.images import as_bgr, decode_image
from edgecount.runtime.sources.base import Frame, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_READERS = 4  # files that are read at once: a network's disk or server answers late


class Feed(Source, AbstractContextManager["Feed"]):
    """The images of an archive as frames; those that cannot be read are told, and left out.

    `Frame.index` numbers the images. A frame is kept until it is settled, so that what was read
    ahead is there when `frames` is called once more, after an engine failed at one of them.

    Args:
        images: where the images are.
        names: names of the images to count, taken as they are needed.
        on_error: called with an image's name and why it cannot be read, by a thread that reads.
        accept_damaged: see `read_image`, as for max_pixels.
        max_pixels: most pixels of an image.

    Attributes:
        failure: what ended the frames before their end.
    """

    name = "archive"
    is_video = True
    length = None
    fps = None

    def __init__(
        self,
        images: Images,
        names: Iterable[str],
        on_error: Callable[[str, Exception], None],
        *,
        accept_damaged: bool,
        max_pixels: int,
    ) -> None:
        self._images, self._names, self._on_error = images, iter(names), on_error
        self._accept_damaged, self._max_pixels = accept_damaged, max_pixels
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="edgecount-archive")
        self._fetched: deque[tuple[str, Future[bytes | NDArray[Any]]]] = deque()
        self._unsettled: dict[int, Frame] = {}
        self._next = 0  # index of the next frame
        self._lock = threading.Lock()  # a reader that was stopped may still be at its last image
        self._calls = 0
        self.failure: Exception | None = None

    def __exit__(self, *_: object) -> None:
        self._calls += 1
        self._pool.shutdown(wait=False, cancel_futures=True)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames that are not settled; see `Source.frames`.

        Raises:
            SourceError: the archive itself went away.
        """
        with self._lock:
            self._calls += 1
            call, again = self._calls, list(self._unsettled.values())
        yield from again
        while True:
            with self._lock:
                frame = self._read_next() if call == self._calls else None
            if frame is None:
                return
            yield frame

    def settle(self, index: int) -> str:
        """Forget a frame that was counted or has failed; returns the image's name."""
        return self._unsettled.pop(index).source

    def first_unsettled(self) -> int | None:
        """Return the index of the frame whose result is due next; None: there is none."""
        return min(list(self._unsettled), default=None)

    def _read_next(self) -> Frame | None:
        """Read the next image that can be read; None at the end."""
        while True:
            self._fetch()
            if not self._fetched:
                return None
            name, data = self._fetched.popleft()
            try:
                image = self._decode(name, data.result())
            except Exception as error:  # noqa: BLE001 (codecs raise anything)
                self._tell(name, error)
                continue
            frame = Frame(image, name, self._next, 0.0)
            self._unsettled[self._next] = frame
            self._next += 1
            return frame

    def _tell(self, name: str, error: Exception) -> None:
        try:
            if isinstance(error, SourceError):
                self._images.check()
            self._on_error(name, error)
        except Exception as failure:
            self.failure = failure
            raise

    def _fetch(self) -> None:
        while len(self._fetched) <= _READERS:
            name = next(self._names, None)
            if name is None:
                return
            self._fetched.append((name, self._pool.submit(self._images.read, name)))

    def _decode(self, name: str, data: bytes | NDArray[Any]) -> NDArray[np.uint8]:
        if not isinstance(data, bytes):
            return as_bgr(data)
        return decode_image(
            data,
            self._images.path(name),
            accept_damaged=self._accept_damaged,
            max_pixels=self._max_pixels,
        )
