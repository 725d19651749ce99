"""Decoded images that stay on the training device, and crops cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.train.data.device.taps import Taps, crop_taps, stack_taps
from edgecount.train.data.sample import Sample
from edgecount.train.data.windows import CropWindow


@dataclass(frozen=True, eq=False)
class DrawnCrops:
    """Crops of a batch as the device needs them.

    Attributes:
        first: (B,) int64 position in the store of each window's first pixel.
        stride: (B,) int64 pixels from one row of the image to the next.
        rows: taps of the crops' rows, (B, H, K), counted from the window's first row.
        columns: taps of the crops' columns, (B, W, K), counted from its first column.
        tallest: rows of the tallest window.
    """

    first: NDArray[np.int64]
    stride: NDArray[np.int64]
    rows: Taps
    columns: Taps
    tallest: int


class ImageStore:
    """The pixels of all images of a run in one tensor.

    Args:
        samples: the images.
        device: where the pixels are kept.
        capacity: limit of their size, in bytes.
        workers: number of threads that decode.

    Raises:
        ConfigError: the images need more than the capacity.
        SourceError: an image cannot be read.
    """

    def __init__(
        self, samples: Sequence[Sample], device: torch.device, capacity: int, workers: int
    ) -> None:
        self.shapes: dict[int, tuple[int, int]] = {}
        self._first: dict[int, int] = {}
        used = 0
        # By identity: the same file may be there at two sizes.
        unique = list({id(sample): sample for sample in samples}.values())
        decoded: list[NDArray[np.uint8]] = []
        with ThreadPoolExecutor(workers, thread_name_prefix="images") as pool:
            for sample, image in zip(unique, pool.map(Sample.image, unique), strict=True):
                self._first[id(sample)] = used
                self.shapes[id(sample)] = image.shape[:2]
                decoded.append(image.reshape(-1, 3))
                used += len(decoded[-1])
                if 3 * used > capacity:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise ConfigError(
                        f"cache_gb: with loader: device all {len(unique)} images are kept on "
                        f"{device}, and {len(decoded)} of them already take more than "
                        f"{capacity / 1e9:g} GB: raise cache_gb if the device has the memory, or "
                        "choose loader: threads"
                    )
        self._pixels = torch.empty((used, 3), dtype=torch.uint8, device=device)
        for sample in unique:
            pixels = torch.from_numpy(decoded.pop(0))
            first = self._first[id(sample)]
            self._pixels[first : first + len(pixels)] = pixels

    def draw(
        self, samples: Sequence[Sample], windows: Sequence[CropWindow], size: tuple[int, int]
    ) -> DrawnCrops:
        """Return what `cut` needs for crops of ``size`` (height, width); touches no pixel."""
        pairs = [_taps_of(window) for window in windows]
        first = [
            self._first[id(sample)] + window.top * self.shapes[id(sample)][1] + window.left
            for sample, window in zip(samples, windows, strict=True)
        ]
        return DrawnCrops(
            np.array(first, np.int64),
            np.array([self.shapes[id(sample)][1] for sample in samples], np.int64),
            stack_taps([rows for rows, _ in pairs], size[0]),
            stack_taps([columns for _, columns in pairs], size[1]),
            max(window.bottom - window.top for window in windows),
        )

    def cut(self, drawn: DrawnCrops) -> Tensor:
        """Return the crops, (B, H, W, 3) uint8 BGR."""
        device = self._pixels.device
        first, stride = (_on(array, device) for array in (drawn.first, drawn.stride))
        columns, weights = _on(drawn.columns.indices, device), _on(drawn.columns.weights, device)
        rows, shares = _on(drawn.rows.indices, device), _on(drawn.rows.weights, device)
        batch, _, taps = columns.shape
        starts = first[:, None] + torch.arange(drawn.tallest, device=device) * stride[:, None]
        # Windows that are less tall than the tallest would reach past the end of the store.
        starts = starts.clamp_(max=len(self._pixels) - 1)
        wide = None
        for tap in range(taps):
            places = (starts[:, :, None] + columns[:, None, :, tap]).clamp_(
                max=len(self._pixels) - 1
            )
            part = self._pixels[places].float() * weights[:, None, :, tap, None]
            wide = part if wide is None else wide.add_(part)
        assert wide is not None
        crops = None
        which = torch.arange(batch, device=device)[:, None]
        for tap in range(rows.shape[2]):
            part = wide[which, rows[:, :, tap]] * shares[:, :, tap, None, None]
            crops = part if crops is None else crops.add_(part)
        assert crops is not None
        return rounded(crops)


def rounded(values: Tensor) -> Tensor:
    """Return uint8 levels: the nearest, a half up, and clipped to 0..255."""
    return values.add(0.5).floor_().clamp_(0, 255).to(torch.uint8)


def _taps_of(window: CropWindow) -> tuple[Taps, Taps]:
    source = (window.bottom - window.top, window.right - window.left)
    rows, columns = crop_taps(source, (window.height, window.width), window.interpolation)
    if window.mirrored:
        columns = Taps(columns.indices[::-1], columns.weights[::-1])
    return rows, columns


def _on(array: NDArray[np.generic], device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
