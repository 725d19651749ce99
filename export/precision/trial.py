"""Try converted graphs on images, and keep what was found out about the float32 model there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edgecount._files import write_whole
from edgecount.errors import BackendError
from edgecount.export.graph.session import AsWritten
from edgecount.export.precision.fp16 import LARGEST, emulated
from edgecount.export.precision.value_ranges import largest_magnitudes
from edgecount.export.progress import Progress, Steps, silent
from edgecount.export.source.load import SourceModel, with_manifest
from edgecount.export.verify.compare import (
    Comparison,
    NamedImage,
    UncountableError,
    compare,
    count_images,
)
from edgecount.runtime.pipeline.preprocess import input_geometry, write_input

if TYPE_CHECKING:
    import onnx

    from edgecount import CountResult, EdgeCounter

log = logging.getLogger(__name__)

HEADROOM = 4  # how far beyond the largest value that was seen float16 must reach
RESCANS = 3  # images that are looked at once more, whole, for overflow

# How a graph is run: as a user's EdgeCounter runs the file; operator by operator as the graph says;
# or so, with the rounding of its float16.
ExecutionMode = Literal["as used", "as written", "rounding"]


class Trial:
    """The float32 model and the images that conversions are tried on.

    What is asked of the float32 model is computed once: its counts, and the largest magnitudes of
    its tensors, which grow with every image that :meth:`rescan` looks at.

    The folder holds `model.onnx`, ``tensors`` some images as inputs of the network, (1, 3, H, W).

    Attributes:
        overflows: number of images on which :meth:`rescan` found overflow that was not known.
    """

    def __init__(
        self,
        source: SourceModel,
        folder: Path,
        images: Sequence[NamedImage],
        tensors: Sequence[NDArray[np.float32]],
        threads: int | None = None,
        progress: Progress = silent,
        warn: Callable[[str], None] = log.warning,
    ) -> None:
        self.source, self.folder, self.images = source, folder, images
        self.threads, self.progress, self.warn = threads, progress, warn
        self.feeds = [{source.manifest.input.name: tensor} for tensor in tensors]
        self.overflows = 0
        self._originals: list[CountResult] = []
        self._largest: dict[str, float] = {}
        self._rescanned: set[str] = set()

    def counter(self, path: Path) -> EdgeCounter:
        """Return a counter over a file, on the CPU, as its users will run it."""
        from edgecount import EdgeCounter

        return EdgeCounter(path, backend="onnxruntime", threads=self.threads)

    def originals(self, number: int) -> list[CountResult]:
        """Return the float32 model's results on the first images; each is counted once.

        Raises:
            BackendError: it gives non-finite values.
        """
        if len(self._originals) >= number:
            return self._originals[:number]
        with self.counter(self.folder / "model.onnx") as counter:
            while len(self._originals) < number:
                self.progress("counting in FP32", len(self._originals), len(self.images))
                image = self.images[len(self._originals)]
                try:
                    self._originals.extend(count_images(counter, [image]))
                except UncountableError as error:
                    raise BackendError(
                        f"the float32 model itself cannot count {error}: mend the model, or leave "
                        "that image out if your cameras see nothing like it"
                    ) from error
        return self._originals[:number]

    def compare(
        self, model: onnx.ModelProto, gate: float, number: int, task: str, mode: ExecutionMode
    ) -> Comparison:
        """Count the first images with a graph, beside the float32 model.

        Raises:
            UncountableError: it gives non-finite values.
        """
        from edgecount import EdgeCounter

        images, originals = self.images[:number], self.originals(number)
        step = Steps(self.progress, task, number)
        if mode != "as used":
            graph = emulated(model) if mode == "rounding" else model
            with (
                AsWritten(graph, self.threads) as backend,
                EdgeCounter(self.source.manifest, backend=backend) as counter,
            ):
                return compare(images, originals, counter, gate, progress=step)
        tried = self.folder / "tried.onnx"
        write_whole(tried, with_manifest(model, self.source.manifest).SerializeToString())
        try:
            with self.counter(tried) as counter:
                return compare(images, originals, counter, gate, progress=step)
        finally:
            tried.unlink()

    def largest(self) -> dict[str, float]:
        """Return the largest magnitude that each float32 tensor took so far."""
        if not self._largest:
            task = "looking for large values"
            self.progress(task, 0, len(self.feeds))
            step = Steps(self.progress, task, len(self.feeds))
            self._largest = largest_magnitudes(
                self.source.model, self.feeds, threads=self.threads, progress=step
            )
        return self._largest

    def rescan(self, image: NamedImage) -> bool:
        """Look for overflow on a whole image on which a float16 file went wrong.

        Returns:
            Whether a tensor goes beyond what float16 holds, with headroom, that did not before.
        """
        if image.name in self._rescanned or len(self._rescanned) >= RESCANS:
            return False
        self._rescanned.add(image.name)
        self.progress(f"looking for large values on {image.name}", 0, 1)
        before, spec = self.largest(), self.source.manifest.input
        plan = input_geometry(image.pixels.shape[1::-1], spec, spec.max_side)
        tensor = np.empty((1, 3, *plan.padded), np.float32)
        write_input(image.pixels, plan.resized, spec, tensor)
        seen = largest_magnitudes(self.source.model, [{spec.name: tensor}], threads=self.threads)
        self._largest = {name: max(value, before[name]) for name, value in seen.items()}
        limit = LARGEST / HEADROOM
        new = any(before[name] <= limit < value for name, value in self._largest.items())
        self.overflows += new
        return new
