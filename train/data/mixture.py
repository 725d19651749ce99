"""An endless stream of training crops, mixed from several sets."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec
from edgecount.train.config import TrainConfig
from edgecount.train.data.augment import blank_crop, blurred_away, random_crop
from edgecount.train.data.cache import ImageCache
from edgecount.train.data.photometric import distort_photometric
from edgecount.train.data.sample import Crop, Sample
from edgecount.train.data.stack import stack_padded
from edgecount.train.data.windows import CropRule
from edgecount.train.targets.boxes import boxes_around

Arrays = Mapping[str, NDArray[np.float32]]
Made = TypeVar("Made")


@dataclass(frozen=True)
class MixtureComponent:
    """One set in the mixture.

    Attributes:
        samples: training images; none means images of nothing.
        weight: share of the crops, relative to the other components.
        scale: the range of random scales.
        window: region of the crops, see :class:`edgecount.train.config.DataConfig`.
        native: the share of crops that are not resampled.
        scales: the random scales themselves, in place of the range.
        mirror: whether half of the crops are mirrored.
    """

    samples: Sequence[Sample]
    weight: float
    scale: tuple[float, float]
    window: Literal["free", "quarters"] = "free"
    native: float = 0.0
    scales: tuple[float, ...] = ()
    mirror: bool = True

    def rule(self, config: TrainConfig) -> CropRule:
        """Return how the crops of a run are drawn from this set."""
        return CropRule(
            config.crop,
            self.scale,
            self.scales,
            self.window,
            self.native,
            self.mirror,
            config.photometric.kernels,
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Normalised crops of one size and their targets.

    Attributes:
        images: (B, 3, H, W) float32.
        targets: (B, ...) float32 by name, of the run's objective, and ``region`` (B, 1, H, W), 1
            where the image is annotated, if a set has images that are not annotated as a whole.
        names: the images that the crops were cut from.
        rest: the crops of the same step that have other sizes, each size in a batch of its own.
    """

    images: Tensor
    targets: dict[str, Tensor]
    names: tuple[str, ...]
    rest: tuple[Batch, ...] = ()

    @property
    def sizes(self) -> tuple[Batch, ...]:
        """Return the batches of one size each that make up the step's."""
        return (self, *self.rest)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        targets = {k: v.to(device, non_blocking=True) for k, v in self.targets.items()}
        rest = tuple(batch.to(device) for batch in self.rest)
        return Batch(self.images.to(device, non_blocking=True), targets, self.names, rest)


class BatchStream(Protocol):
    """An endless stream of batches; each is a function of its step alone."""

    def batch(self, step: int) -> Batch:
        """Return this process's share of the batch of one step."""

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of steps ``first`` to ``last - 1``."""


class Mixture:
    """Crops of the components by weight; a crop is a function of seed, step and place in the batch.

    So a resumed run sees the very batches that the uninterrupted one would have seen, and so do
    several processes together.

    Args:
        components: the sets.
        config: the run: crops, batches, seed, threads and memory.
        targets: function that makes the target arrays of a crop; called in threads.
        spec: normalisation of the pixels.
        rank: this process.
        processes: number of processes; each makes its own crops of a batch.
    """

    def __init__(
        self,
        components: Sequence[MixtureComponent],
        config: TrainConfig,
        targets: Callable[[Crop], Arrays],
        spec: InputSpec,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.components = list(components)
        self.config = config
        self._targets = targets
        self._spec = spec
        self._rank, self._processes = rank, processes
        self._shares = shares_of(components)
        self._regions = have_regions(components)
        self._cache = ImageCache(int(config.cache_gb * 1e9))

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of steps ``first`` to ``last - 1``, made ahead in threads.

        They make NumPy arrays only: a torch operation in a thread would start a second pool of
        OpenMP threads that fights the network's for the cores.
        """
        yield from made_ahead(self.batch, range(first, last), self.config.workers)

    def batch(self, step: int) -> Batch:
        """Make this process's share of the batch of one step."""
        seed = self.config.seed
        places = range(self._rank, self.config.batch_size, self._processes)
        made = [self._crop(np.random.default_rng((seed, step, place))) for place in places]
        first, *rest = (
            self._of_one_size([made[index] for index in one])
            for one in by_size([crop for crop, _ in made])
        )
        return dataclasses.replace(first, rest=tuple(rest))

    def _of_one_size(self, made: Sequence[tuple[Crop, str]]) -> Batch:
        targets = [dict(self._targets(crop)) for crop, _ in made]
        if self._regions:
            targets = [
                t | {"region": region_of(c)} for t, (c, _) in zip(targets, made, strict=True)
            ]
        return Batch(
            images=stack_padded([normalise(crop.image, self._spec) for crop, _ in made]),
            targets={name: stack_padded([t[name] for t in targets]) for name in targets[0]},
            names=tuple(name for _, name in made),
        )

    def _crop(self, rng: np.random.Generator) -> tuple[Crop, str]:
        component = self.components[rng.choice(len(self.components), p=self._shares)]
        if not component.samples:
            nobody = np.zeros((0, 2), np.float32)
            image = self._nothing(rng)
            return Crop(image, nobody, nobody[:, 0], np.zeros((0, 4), np.float32)), "blank"
        crop, name = self._cut(component, rng)
        image = distort_photometric(crop.image, rng, self.config.photometric)
        return dataclasses.replace(crop, image=image), name

    def _nothing(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Make an image without anybody to be seen; a quarter of them are photos out of focus."""
        height, width = size_of_blanks(self.config)
        photos = [component for component in self.components if component.samples]
        if photos and rng.random() < 0.25:
            crop, _ = self._cut(photos[int(rng.integers(len(photos)))], rng)
            return blurred_away(crop.image, rng)
        return np.ascontiguousarray(blank_crop(max(height, width), rng)[:height, :width])

    def _cut(self, component: MixtureComponent, rng: np.random.Generator) -> tuple[Crop, str]:
        """Cut a random crop of a random image of a component; return the image's name too."""
        sample = component.samples[int(rng.integers(len(component.samples)))]
        boxes = sample.boxes
        image = self._cache.get(sample)
        crop = random_crop(
            image,
            sample.points,
            sample.sizes,
            boxes_around(sample.points, sample.sizes[:, None]) if boxes is None else boxes,
            component.rule(self.config),
            rng,
            region=sample.mask(*image.shape[:2]),
        )
        return crop, str(sample.path)


def shares_of(components: Sequence[MixtureComponent]) -> NDArray[np.float64]:
    """Return each component's share of the crops, by weight."""
    weights = np.array([component.weight for component in components], np.float64)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def have_regions(components: Sequence[MixtureComponent]) -> bool:
    """Return whether images of a mixture are annotated in a region alone."""
    return any(sample.region is not None for one in components for sample in one.samples)


def region_of(crop: Crop) -> NDArray[np.float32]:
    """Return 1 where a crop is annotated and 0 elsewhere, (1, H, W)."""
    if crop.region is None:
        return np.ones((1, *crop.image.shape[:2]), np.float32)
    return crop.region[None].astype(np.float32)


def by_size(crops: Sequence[Crop]) -> list[list[int]]:
    """Return the indices of the crops of each size, in the order in which the sizes appear."""
    found: dict[tuple[int, ...], list[int]] = {}
    for index, crop in enumerate(crops):
        found.setdefault(crop.image.shape[:2], []).append(index)
    return list(found.values())


def size_of_blanks(config: TrainConfig) -> tuple[int, int]:
    """Return height and width of the images of nothing.

    Raises:
        ConfigError: crops are halves of their images.
    """
    if config.crop == "half":
        raise ConfigError("crop: expected height and width in px for images of nothing, got half")
    return config.crop


def made_ahead(make: Callable[[int], Made], steps: Iterable[int], workers: int) -> Iterator[Made]:
    """Yield what is made of every step, in order, made ahead in threads."""
    left = iter(steps)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="crops")
    try:
        ahead: deque[Future[Made]] = deque(
            # two more than threads, so that none waits while a batch is taken away
            pool.submit(make, step)
            for step in itertools.islice(left, workers + 2)
        )
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(make, step) for step in itertools.islice(left, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def normalise(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Turn BGR uint8 (H, W, 3) into the network's float32 (3, H, W)."""
    planes = image.transpose(2, 0, 1)
    if spec.channels == "RGB":
        planes = planes[::-1]
    out: NDArray[np.float32] = np.subtract(
        planes, np.array(spec.mean, np.float32)[:, None, None], dtype=np.float32
    )
    out *= np.array(spec.scale, np.float32)[:, None, None]
    return out
