"""Opening a model with its engine, and the options by which its frames are counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from edgecount._options import (
    check_capacity,
    check_device,
    check_flag,
    check_max_side,
    check_threshold,
    check_zoom,
)
from edgecount._proof import prove
from edgecount._rebuild import choose_rebuild
from edgecount.errors import BackendError, EdgeCountError
from edgecount.manifest import Manifest
from edgecount.regions import RegionsLike, read_regions
from edgecount.result import CountResult
from edgecount.runtime.backends import Backend, DeviceBackend
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.models.open import open_model
from edgecount.runtime.pipeline.ending import ends_before_the_interpreter
from edgecount.runtime.pipeline.job import CountSettings
from edgecount.runtime.pipeline.postprocess import RegionMasks

if TYPE_CHECKING:
    from edgecount.runtime.backends.onnx_run import Opened
    from edgecount.runtime.frames.checked import CheckedFrame
    from edgecount.runtime.models.engines import Rebuild


@ends_before_the_interpreter
def open_settings(
    model: str | os.PathLike[str] | Manifest,
    backend: str | Backend,
    *,
    regions: RegionsLike | None,
    threshold: float | None,
    max_side: int | Literal["model", "native"] | None,
    threads: int | None,
    precision: str,
    capacity: int | None,
    zoom: int,
    density: bool,
    rebuild: bool | Rebuild,
    device: int | Sequence[int] | None,
    refine: Callable[[CheckedFrame, CountResult], CountResult],
) -> CountSettings:
    """Check the options of `EdgeCounter`, and open its model and engine.

    Raises:
        ModelError, BackendError, MissingExtraError, ConfigError: see `EdgeCounter`.
    """
    masks = RegionMasks(read_regions(regions))
    found = open_model(model)
    threshold = check_threshold(threshold, found.manifest)
    side = check_max_side(max_side, found.manifest)
    most_points = check_capacity(capacity)
    levels = check_zoom(zoom, found.manifest)
    with_density = check_flag("density", density)
    first, *further = check_device(device, backend)
    opened = open_backend(
        found,
        backend,
        threads=threads,
        precision=precision,
        rebuild=choose_rebuild(rebuild),
        prove=prove,
        device=first,
    )
    others = _open_others(opened, further, threads)
    on_gpu = opened.backend if isinstance(opened.backend, DeviceBackend) else None
    return CountSettings(
        opened.backend,
        opened.model.manifest,
        threshold,
        most_points,
        side,
        limits=None if on_gpu is None else on_gpu.sizes,
        masks=masks,
        refine=refine,
        zoom=levels,
        others=others,
        density=with_density,
    )


def keep_result(_frame: CheckedFrame, result: CountResult) -> CountResult:
    """Return the result that is given: what `EdgeCounter.refine` does by default."""
    return result


def _open_others(
    opened: Opened, devices: Sequence[int | None], threads: int | None
) -> list[DeviceBackend]:
    """Open the engine of the first GPU on further ones.

    Raises:
        BackendError: it does not run there; none of them stays open then.
    """
    others: list[DeviceBackend] = []
    try:
        for device in devices:
            backend, _ = open_backend(
                opened.model, opened.backend.name, threads=threads, device=device
            )
            if not isinstance(backend, DeviceBackend):
                backend.close()
                raise BackendError(
                    f"device: {backend.name} uses one GPU only where edgecount is built without "
                    "its CUDA part (edgecount doctor says how to build it): name one"
                )
            others.append(backend)
    except EdgeCountError:
        for backend in (opened.backend, *others):
            backend.close()
        raise
    return others
