"""The choice of the pipeline that suits an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecount.runtime.backends.device import DeviceBackend
from edgecount.runtime.pipeline.host_pipeline import HostPipeline
from edgecount.runtime.pipeline.pipelines import GpuPipeline, Pipeline

if TYPE_CHECKING:
    from edgecount.runtime.pipeline.job import CountSettings


def open_pipeline(settings: CountSettings, workers: int | None = None) -> Pipeline[Any]:
    """Open the pipeline of an engine; see `HostPipeline` for workers, of no use to a GPU."""
    backend = settings.backend
    if isinstance(backend, DeviceBackend):
        return GpuPipeline((backend, *settings.others), settings)
    return HostPipeline(backend, settings, workers)
