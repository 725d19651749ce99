"""The stream of training crops, with the pixels moved by the device that trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgecount.manifest import InputSpec
from edgecount.train.config import TrainConfig
from edgecount.train.data.augment import (
    AWAY,
    blank_crop,
    cut_region,
    move_annotations,
    pull_inside,
)
from edgecount.train.data.device.photometric import apply_changes, blurred
from edgecount.train.data.device.store import DrawnCrops, ImageStore
from edgecount.train.data.mixture import (
    Batch,
    MixtureComponent,
    by_size,
    have_regions,
    made_ahead,
    region_of,
    shares_of,
    size_of_blanks,
)
from edgecount.train.data.photometric import PhotometricChange, draw_photometric
from edgecount.train.data.sample import Crop, Sample
from edgecount.train.data.windows import CropWindow, draw_window
from edgecount.train.targets.boxes import boxes_around

BatchTargets = Callable[[Sequence[Crop], torch.device], dict[str, Tensor]]


@dataclass(frozen=True, eq=False)
class DrawnCrop:
    """One crop of a batch before its pixels are moved.

    Attributes:
        crop: its annotations; the image has a shape and no pixels of its own.
        name: the image that it is cut from.
        place: image and rectangle; None: an image of nothing.
        change: the photometric change.
        blank: the image of nothing, uint8 (H, W, 3).
        blur: sigma of a blur in which nobody is left, px.
    """

    crop: Crop
    name: str
    place: tuple[Sample, CropWindow] | None = None
    change: PhotometricChange | None = None
    blank: NDArray[np.uint8] | None = None
    blur: float | None = None


@dataclass(frozen=True, eq=False)
class DrawnBatch:
    """The crops of a batch that have one size, and what the device needs to cut them.

    Attributes:
        crops: the crops.
        cut: places and kernels of those with a place, in order; None if there are none.
        noise_seed: seed of the batch's noise.
        rest: the crops of the same step that have other sizes.
    """

    crops: list[DrawnCrop]
    cut: DrawnCrops | None
    noise_seed: int
    rest: tuple[DrawnBatch, ...] = ()


class DeviceMixture:
    """Crops like those of `Mixture`, from images that stay on the training device.

    Places, kernels and changes are drawn from the same random numbers, so that a crop shows the
    same piece of the same image; its levels differ by rounding, and its noise is another.

    Args:
        components: the sets.
        config: the run: crops, batches, seed, threads and memory.
        targets: function that makes the targets of a batch on a device.
        spec: normalisation of the pixels.
        device: where images are kept and crops are cut.
        rank: this process.
        processes: number of processes; each makes its own crops of a batch.

    Raises:
        ConfigError: the images need more than ``cache_gb``.
        SourceError: an image cannot be read.
    """

    def __init__(
        self,
        components: Sequence[MixtureComponent],
        config: TrainConfig,
        targets: BatchTargets,
        spec: InputSpec,
        *,
        device: torch.device,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.components = list(components)
        self.config = config
        self._targets = targets
        self._spec = spec
        self._device = device
        self._rank, self._processes = rank, processes
        self._shares = shares_of(components)
        self._regions = have_regions(components)
        samples = [sample for component in components for sample in component.samples]
        capacity = int(config.cache_gb * 1e9)
        self._store = ImageStore(samples, device, capacity, config.workers)
        self._noise = torch.Generator(device)

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of steps ``first`` to ``last - 1``, drawn ahead in threads."""
        for drawn in made_ahead(self.draw, range(first, last), self.config.workers):
            yield self.make(drawn)

    def batch(self, step: int) -> Batch:
        """Return this process's share of the batch of one step."""
        return self.make(self.draw(step))

    def draw(self, step: int) -> DrawnBatch:
        """Draw this process's share of the batch of one step; touches no pixel."""
        seed = self.config.seed
        places = range(self._rank, self.config.batch_size, self._processes)
        crops = [self._draw_crop(np.random.default_rng((seed, step, place))) for place in places]
        noise = np.random.default_rng((seed, step, self.config.batch_size, self._rank))
        first, *rest = (
            self._draw_size([crops[index] for index in one], int(noise.integers(2**62)))
            for one in by_size([drawn.crop for drawn in crops])
        )
        return dataclasses.replace(first, rest=tuple(rest))

    def _draw_size(self, crops: list[DrawnCrop], noise_seed: int) -> DrawnBatch:
        """Draw the crops of one size."""
        placed = [one.place for one in crops if one.place is not None]
        cut = None
        if placed:
            samples, windows = zip(*placed, strict=True)
            cut = self._store.draw(samples, windows, windows[0].size)
        return DrawnBatch(crops, cut, noise_seed)

    def make(self, drawn: DrawnBatch) -> Batch:
        """Return a batch on the device."""
        crops = drawn.crops
        size = crops[0].crop.image.shape[:2]
        images = torch.zeros((len(crops), *size, 3), dtype=torch.uint8, device=self._device)
        placed = [place for place, one in enumerate(crops) if one.place is not None]
        if drawn.cut is not None:
            images[torch.tensor(placed, device=self._device)] = self._store.cut(drawn.cut)
        for place, one in enumerate(crops):
            if one.blank is not None:
                images[place] = torch.from_numpy(one.blank).to(self._device)
            if one.blur is not None:
                images[place] = blurred(images[place][None], [one.blur])[0]
        self._noise.manual_seed(drawn.noise_seed)
        images = apply_changes(images, [one.change for one in crops], self._noise)
        targets = self._targets([one.crop for one in crops], self._device)
        if self._regions:
            regions = np.stack([region_of(one.crop) for one in crops])
            targets = targets | {"region": torch.from_numpy(regions).to(self._device)}
        names = tuple(one.name for one in crops)
        rest = tuple(self.make(other) for other in drawn.rest)
        return Batch(self._normalised(images), targets, names, rest)

    def _normalised(self, images: Tensor) -> Tensor:
        """Return the network's (B, 3, H, W) float32 of (B, H, W, 3) uint8 BGR."""
        planes = (images.flip(3) if self._spec.channels == "RGB" else images).float()
        planes -= torch.tensor(self._spec.mean, device=self._device)
        planes *= torch.tensor(self._spec.scale, device=self._device)
        return planes.permute(0, 3, 1, 2)

    def _draw_crop(self, rng: np.random.Generator) -> DrawnCrop:
        component = self.components[rng.choice(len(self.components), p=self._shares)]
        if not component.samples:
            return self._draw_nothing(rng)
        crop, place = self._draw_place(component, rng)
        change = draw_photometric(rng, self.config.photometric)
        return DrawnCrop(crop, str(place[0].path), place, change)

    def _draw_nothing(self, rng: np.random.Generator) -> DrawnCrop:
        """Draw an image without anybody to be seen; a quarter of them are photos out of focus."""
        height, width = size_of_blanks(self.config)
        nobody = _without_pixels(
            (height, width), np.zeros((0, 2)), np.zeros(0), np.zeros((0, 4)), None
        )
        photos = [component for component in self.components if component.samples]
        if photos and rng.random() < 0.25:
            _, place = self._draw_place(photos[int(rng.integers(len(photos)))], rng)
            return DrawnCrop(nobody, "blank", place, blur=rng.uniform(*AWAY))
        blank = blank_crop(max(height, width), rng)[:height, :width]
        return DrawnCrop(nobody, "blank", blank=np.ascontiguousarray(blank))

    def _draw_place(
        self, component: MixtureComponent, rng: np.random.Generator
    ) -> tuple[Crop, tuple[Sample, CropWindow]]:
        """Draw an image of a component and a rectangle of it; return its heads too."""
        sample = component.samples[int(rng.integers(len(component.samples)))]
        height, width = self._store.shapes[id(sample)]
        window = draw_window(height, width, component.rule(self.config), rng)
        boxes = sample.boxes
        if boxes is None:
            boxes = boxes_around(sample.points, sample.sizes[:, None])
        points = pull_inside(sample.points, width, height)
        heads = move_annotations(window, points, sample.sizes, boxes)
        mask = sample.mask(height, width)
        region = None if mask is None else cut_region(window, mask)
        return _without_pixels(window.size, *heads, region), (sample, window)


def _without_pixels(
    size: tuple[int, int],
    points: NDArray[np.floating],
    sizes: NDArray[np.floating],
    boxes: NDArray[np.floating],
    region: NDArray[np.bool_] | None,
) -> Crop:
    """Return annotations on an image that has a shape and takes no memory."""
    image = np.broadcast_to(np.uint8(0), (*size, 3))
    points, sizes, boxes = (np.asarray(array, np.float32) for array in (points, sizes, boxes))
    return Crop(image, points, sizes, boxes, region)
