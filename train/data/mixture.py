"""An endless stream of training crops, mixed from several sets."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgecount.runtime.images import read_image
from edgecount.train.data.augment import blank_crop, random_crop, random_look
from edgecount.train.data.readers import Sample
from edgecount.train.targets import Targets, make_targets


@dataclass(frozen=True)
class Part:
    """One set in the mixture.

    Attributes:
        samples: its training images; none means pictures of nothing.
        weight: its share of the crops, relative to the other parts.
        scale: the range of random scales.
    """

    samples: Sequence[Sample]
    weight: float
    scale: tuple[float, float]


@dataclass(frozen=True)
class Batch:
    """Normalised crops (B, 3, S, S) and their targets, see :class:`Targets`; NCHW tensors."""

    images: Tensor
    counts: Tensor
    heatmap: Tensor
    offset: Tensor
    heads: Tensor


class Mixture:
    """Crops of the parts by weight; every batch is a function of the seed and its step alone.

    So a resumed run sees the very batches that the uninterrupted one would have seen.
    """

    def __init__(self, parts: Sequence[Part], *, crop: int, batch_size: int, seed: int) -> None:
        self.parts = list(parts)
        self.crop = crop
        self.batch_size = batch_size
        self.seed = seed
        weights = np.array([part.weight for part in parts], np.float64)
        self._shares = weights / weights.sum()
        self._images: dict[str, NDArray[np.uint8]] = {}

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps ``first`` to ``last - 1``, made ahead in a thread."""
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=4)
        stop = threading.Event()

        def put(item: Batch | BaseException | None) -> None:
            while not stop.is_set():
                with contextlib.suppress(queue.Full):
                    ready.put(item, timeout=0.2)
                    return

        def produce() -> None:
            try:
                for step in range(first, last):
                    if stop.is_set():
                        return
                    put(self.batch(step))
                put(None)
            except BaseException as error:  # noqa: BLE001 (raised again where it is read)
                put(error)

        worker = threading.Thread(target=produce, daemon=True)
        worker.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            worker.join()

    def batch(self, step: int) -> Batch:
        """The batch of one step."""
        rng = np.random.default_rng((self.seed, step))
        crops = [self._crop(rng) for _ in range(self.batch_size)]
        targets = [t for _, t in crops]
        return Batch(
            images=_stack([normalise(image) for image, _ in crops]),
            counts=_stack([t.counts[None] for t in targets]),
            heatmap=_stack([t.heatmap[None] for t in targets]),
            offset=_stack([t.offset for t in targets]),
            heads=_stack([t.heads[None] for t in targets]),
        )

    def _crop(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Targets]:
        part = self.parts[rng.choice(len(self.parts), p=self._shares)]
        if not part.samples:
            empty = np.zeros((0, 2), np.float32)
            image = blank_crop(self.crop, rng)
            return image, make_targets(empty, empty[:, 0], self.crop, self.crop)
        sample = part.samples[int(rng.integers(len(part.samples)))]
        image, points, sizes = random_crop(
            self._image(sample), sample.points, sample.sizes, self.crop, part.scale, rng
        )
        return random_look(image, rng), make_targets(points, sizes, self.crop, self.crop)

    def _image(self, sample: Sample) -> NDArray[np.uint8]:
        # Decoding costs more than the crop: the sets of this size fit in memory.
        key = str(sample.path)
        if key not in self._images:
            self._images[key] = read_image(sample.path)
        return self._images[key]


def normalise(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """BGR uint8 (H, W, 3) to RGB float (3, H, W) in [-1, 1]: ``(x - 127.5) / 127.5``.

    In NumPy, because a torch operation in the batches' thread would start a second pool of
    OpenMP threads that fights the network's for the cores.
    """
    out: NDArray[np.float32] = np.subtract(
        image.transpose(2, 0, 1)[::-1], np.float32(127.5), dtype=np.float32
    )
    out *= np.float32(1 / 127.5)
    return out


def _stack(arrays: Sequence[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
