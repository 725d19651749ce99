"""Decoded images in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

from edgecount.train.data.sample import Image, Sample


class ImageCache:
    """The images read last, up to a number of bytes; decoding costs more than a crop.

    Args:
        capacity: bytes; 0 keeps nothing. The samples have to outlive the cache.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._images: OrderedDict[int, Image] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, sample: Sample) -> Image:
        """Return the sample's image, which must not be written to; read it if it is not here.

        Raises:
            SourceError: it cannot be read.
        """
        key = id(sample)  # the same file may be there at two sizes
        with self._lock:
            if key in self._images:
                self._images.move_to_end(key)
                return self._images[key]
        # Outside the lock, so that threads decode side by side; two may read one image.
        image = sample.image()
        with self._lock:
            if key not in self._images:
                self._images[key] = image
                self._bytes += image.nbytes
            while self._bytes > self._capacity:
                self._bytes -= self._images.popitem(last=False)[1].nbytes
        return image
