"""Images of an archive on their way to a counter, whose files are read ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from edgecount.archive.images import Images
from edgecount.errors import SourceError
from edgecount.runtime.frames.images import as_bgr, decode_image
from edgecount.runtime.pipeline.lanes import Lanes
from edgecount.runtime.sources.base import Frame
from edgecount.runtime.sources.image import ImageSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Content = bytes | NDArray[Any]

_READERS = 4  # files that are read at once: a network's disk or server answers late
_PERIOD = 0.5  # s between two looks whether counting has ended


class Feed(AbstractContextManager["Feed"]):
    """The images of an archive as sources, which those who count them decode.

    Args:
        images: where the images are.
        names: names of the images, taken as they are needed.
        accept_damaged: see `read_image`, as for max_pixels.
        max_pixels: most pixels of an image.
    """

    def __init__(
        self, images: Images, names: Iterable[str], *, accept_damaged: bool, max_pixels: int
    ) -> None:
        self._images, self._names = images, names
        self._accept_damaged, self._max_pixels = accept_damaged, max_pixels
        # Their threads are daemons: the end of the program waits for no server.
        self._readers: Lanes[str, Content] = Lanes(_READERS, images.read, lambda: None)
        self._closed = threading.Event()

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._readers.close(0)

    def __iter__(self) -> Iterator[ImageSource]:
        ahead: deque[ImageSource] = deque()
        for name in self._names:
            ahead.append(self._fetch(name))
            if len(ahead) > _READERS:
                yield ahead.popleft()
        while ahead:
            yield ahead.popleft()

    def _fetch(self, name: str) -> ImageSource:
        return _FetchedImage(
            self._images.path(name),
            self._readers.submit(name),
            self._closed,
            accept_damaged=self._accept_damaged,
            max_pixels=self._max_pixels,
        )


class _FetchedImage(ImageSource):
    """An image whose file is being read."""

    def __init__(
        self,
        path: str,
        content: Future[Content],
        closed: threading.Event,
        *,
        accept_damaged: bool,
        max_pixels: int,
    ) -> None:
        super().__init__(path, accept_damaged=accept_damaged, max_pixels=max_pixels)
        self._content, self._closed = content, closed

    def read(self, on_size: Callable[[int, int], None] | None = None) -> Frame:
        while not wait([self._content], _PERIOD).done:
            if self._closed.is_set():
                raise SourceError(f"{self.name} was not read: counting has ended")
        content = self._content.result()
        if isinstance(content, bytes):
            content = decode_image(
                content,
                self.name,
                accept_damaged=self._accept_damaged,
                max_pixels=self._max_pixels,
                on_size=on_size,
            )
        return Frame(as_bgr(content), self.name, 0, 0.0)
