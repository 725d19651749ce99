"""Calibrate INT8: collect the values of a graph's tensors on real images.

One pass over the images gives each tensor's extremes and a histogram; the three usual ways to
choose a quantised range read the same histogram, so that trying another costs nothing.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecount._files import write_whole
from edgecount.export.defaults import Method
from edgecount.export.graph.queries import with_outputs
from edgecount.export.graph.session import open_session
from edgecount.runtime.backends.onnxruntime.calls import run_session

if TYPE_CHECKING:
    import onnx


FORMAT = 3  # version of the cache file
PERCENTILE = 0.9999
# At least half of the bins lie inside the extremes, so 2048 to 4096 of them cover the magnitudes.
BINS = 8192
LEVELS = 128  # magnitudes of a signed byte
# Extremes are exact; a histogram is as good from a part of a large tensor.
SAMPLES = 250_000
SEED = 20260

_STEP = 16  # bins between the ends that the entropy search tries


@dataclass
class Values:
    """The values that a tensor took.

    Attributes:
        low: its smallest value.
        high: its largest value.
        reach: the histogram covers ``-reach`` to ``reach``, a power of two.
        counts: (BINS,) values per bin.
        sums: (C,) for each channel the sum over images of its mean value; empty before the first,
            and of what has no channels.
        images: number of images.
    """

    low: float = np.inf
    high: float = -np.inf
    reach: float = 2.0**-20
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    images: int = 0

    @property
    def largest(self) -> float:
        """Largest magnitude."""
        return max(abs(self.low), abs(self.high)) if self.low <= self.high else 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        """Add the tensor's values (1, C, ...) for one more image."""
        flat = values.reshape(-1)
        if not flat.size:
            return
        if values.ndim > 1:
            with np.errstate(invalid="ignore"):  # infinities of both signs have no mean
                # NumPy adds float32 in pairs along an axis without gaps: exact enough, and fast.
                means = values.reshape(*values.shape[:2], -1).mean(2).mean(0, dtype=np.float64)
                self.sums = self.sums + means if self.images else means
            self.images += 1
        self.low = min(self.low, float(flat.min()))
        self.high = max(self.high, float(flat.max()))
        while self.reach < self.largest < np.inf:
            self._widen()
        some = flat[_sample(flat.size)] if flat.size > SAMPLES else flat
        # A power of two moves no bit, so that a value on an edge falls where it belongs.
        places = np.floor(np.nan_to_num(some * np.float32(BINS / 2 / self.reach)))
        ends = np.clip(places, -BINS // 2, BINS // 2 - 1).astype(np.int64) + BINS // 2
        self.counts += np.bincount(ends, minlength=BINS)

    def _widen(self) -> None:
        """Double the reach: two old bins make a new one, and no count moves."""
        pairs = self.counts.reshape(-1, 2).sum(1)
        self.counts = np.zeros(BINS, np.int64)
        self.counts[BINS // 4 : BINS // 4 + len(pairs)] = pairs
        self.reach *= 2

    def range(self, method: Method) -> tuple[float, float]:
        """Return the low and high ends to quantise between; 0 lies inside.

        ``minmax`` takes the extremes, ``percentile`` the ends that 0.01 % of the values lie beyond
        on either side, ``entropy`` the magnitude at which the histogram of a signed byte differs
        least from the true one (Kullback-Leibler; Migacz, "8-bit inference with TensorRT", 2017).
        """
        if method == "percentile":
            low, high = self._percentile(1 - PERCENTILE), self._percentile(PERCENTILE)
        elif method == "entropy":
            end = self._least_divergence()
            low, high = -end, end
        else:
            low, high = self.low, self.high
        return min(max(low, self.low), 0.0), max(min(high, self.high), 0.0)

    def _percentile(self, share: float) -> float:
        below = np.cumsum(self.counts)
        index = int(np.searchsorted(below, share * below[-1]))
        edge = index if share < 0.5 else index + 1
        return float((edge - BINS / 2) * self.reach / (BINS / 2))

    def _least_divergence(self) -> float:
        magnitudes = (self.counts[: BINS // 2][::-1] + self.counts[BINS // 2 :]).astype(np.float64)
        # The first bin is mostly what an activation cut off; exact in any range, it says nothing.
        magnitudes[0] = magnitudes[1]
        last = int(np.max(np.nonzero(magnitudes)[0], initial=0)) + 1
        ends = [*range(LEVELS, last, _STEP), max(last, LEVELS)]
        best = min(ends, key=lambda end: _divergence(magnitudes, end))
        return float(best * self.reach / (BINS / 2))


# Networks have many tensors of one size; 2 MB each.
@functools.lru_cache(maxsize=8)
def _sample(size: int) -> NDArray[np.int64]:
    """Return places in a large tensor, rising: a random one in each of `SAMPLES` equal stretches.

    A constant stride meets the same columns or channels again and again.
    """
    places = np.arange(SAMPLES) + np.random.default_rng(SEED).random(SAMPLES)
    return np.minimum((places * (size / SAMPLES)).astype(np.int64), size - 1)


def _divergence(magnitudes: NDArray[np.float64], end: int) -> float:
    """Return the Kullback-Leibler divergence of a histogram cut at ``end`` from its 128 levels."""
    kept = magnitudes[:end].copy()
    true = kept.copy()
    true[-1] += magnitudes[end:].sum()
    edges = np.linspace(0, end, LEVELS + 1).astype(np.int64)
    sums = np.add.reduceat(kept, edges[:-1])
    filled = np.add.reduceat((true > 0).astype(np.float64), edges[:-1])
    means = np.divide(sums, filled, out=np.zeros_like(sums), where=filled > 0)
    coarse = np.where(true > 0, np.repeat(means, np.diff(edges)), 0.0)
    if not coarse.sum() or not true.sum():
        return np.inf
    p, q = true / true.sum(), coarse / coarse.sum()
    # A bin that holds only what was cut off has no level: it counts as a tiny one.
    q = np.maximum(q, 1e-12)
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


@dataclass(frozen=True)
class Calibration:
    """The values that tensors took on some images.

    Attributes:
        values: tensor to its values.
        images: number of images.
    """

    values: Mapping[str, Values]
    images: int

    def ranges(self, method: Method) -> dict[str, tuple[float, float]]:
        """Return the low and high end of each tensor's quantised range."""
        return {name: seen.range(method) for name, seen in self.values.items()}

    def means(self) -> dict[str, NDArray[np.float64]]:
        """Return the mean value (C,) of each channel of the tensors that have channels."""
        seen = self.values.items()
        return {name: one.sums / one.images for name, one in seen if one.images}

    def save(self, path: Path, key: str) -> None:
        """Write the values to a cache file; ``key`` identifies the model and the images.

        Raises:
            OutputError: the file cannot be written; an older one stays.
        """
        about = {"key": key, "names": list(self.values), "images": self.images}
        seen = self.values.values()
        file = io.BytesIO()
        np.savez_compressed(
            file,
            key=np.array(json.dumps(about)),
            ends=np.array([[one.low, one.high, one.reach] for one in seen]).reshape(-1, 3),
            counts=np.array([one.counts for one in seen]).reshape(-1, BINS),
            images=np.array([one.images for one in seen], np.int64),
            channels=np.array([len(one.sums) for one in seen], np.int64),
            sums=np.concatenate([np.zeros(0), *(one.sums for one in seen)]),
        )
        write_whole(path, file.getvalue())


def load_calibration(path: Path, key: str) -> Calibration | None:
    """Read what :meth:`Calibration.save` wrote, or return None if it is of another key."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            about = json.loads(str(arrays["key"]))
            if about["key"] != key:
                return None
            sums = np.split(arrays["sums"], np.cumsum(arrays["channels"]))[:-1]
            seen = zip(
                about["names"],
                arrays["ends"],
                arrays["counts"],
                sums,
                arrays["images"],
                strict=True,
            )
            values = {
                name: Values(float(low), float(high), float(reach), counts, means, int(number))
                for name, (low, high, reach), counts, means, number in seen
            }
            return Calibration(values, about["images"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None


def calibration_key(model: bytes, feeding: str, images: Iterable[Path]) -> str:
    """Return a hash of the model, of how it is fed, and of the images."""
    digest = hashlib.sha256(f"{FORMAT} {BINS} {SAMPLES} {feeding}".encode())
    digest.update(model)
    for path in images:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def calibrate(
    model: onnx.ModelProto,
    feeds: Iterable[Mapping[str, NDArray[np.float32]]],
    tensors: Iterable[str],
    *,
    threads: int | None = None,
    progress: Callable[[], None] | None = None,
) -> Calibration:
    """Run a float32 model on inputs, taken one at a time, and collect the values of its tensors."""
    names = list(dict.fromkeys(tensors))
    inputs = {value.name for value in model.graph.input}
    made = [name for name in names if name not in inputs]
    session = open_session(with_outputs(model, made), threads)
    values = {name: Values() for name in names}
    number = 0
    for feed in feeds:
        for name, array in zip(made, run_session(session, made, feed), strict=True):
            values[name].add(array)
        for name in inputs & values.keys():
            values[name].add(feed[name])
        number += 1
        if progress:
            progress()
    return Calibration(values, number)
