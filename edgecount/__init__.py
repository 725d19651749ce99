"""Crowd counting for the edge: people in pictures, clips and camera streams.

    from edgecount import EdgeCounter

    result = EdgeCounter().count("street.jpg")
    print(result.count, result.points)

Importing this package is cheap: engines and codecs are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecount._stream import Watching
    from edgecount.counter import EdgeCounter
    from edgecount.drawing import draw_overlay
    from edgecount.errors import (
        AccuracyError,
        BackendError,
        ConfigError,
        EdgeCountError,
        InputError,
        MissingExtraError,
        ModelError,
        OutputError,
        SourceError,
    )
    from edgecount.manifest import Manifest
    from edgecount.regions import Region
    from edgecount.result import CountResult, RegionCount
    from edgecount.runtime.backends import Backend
    from edgecount.runtime.backends.fake import FakeBackend
    from edgecount.runtime.frames.nvmm import NvmmSurface
    from edgecount.runtime.frames.pixel_formats import NV12Frame, PixelFrame
    from edgecount.runtime.pipeline.job import Outcome
    from edgecount.runtime.sources import (
        Frame,
        LiveOptions,
        LiveSource,
        Source,
        SourceHealth,
        SourceState,
        open_sources,
    )

    __version__: str

__all__ = [
    "AccuracyError",
    "Backend",
    "BackendError",
    "ConfigError",
    "CountResult",
    "EdgeCountError",
    "EdgeCounter",
    "FakeBackend",
    "Frame",
    "InputError",
    "LiveOptions",
    "LiveSource",
    "Manifest",
    "MissingExtraError",
    "ModelError",
    "NV12Frame",
    "NvmmSurface",
    "Outcome",
    "OutputError",
    "PixelFrame",
    "Region",
    "RegionCount",
    "Source",
    "SourceError",
    "SourceHealth",
    "SourceState",
    "Watching",
    "__version__",
    "draw_overlay",
    "open_sources",
]

_HOMES = {
    "Backend": "edgecount.runtime.backends",
    "CountResult": "edgecount.result",
    "EdgeCounter": "edgecount.counter",
    "FakeBackend": "edgecount.runtime.backends.fake",
    "Frame": "edgecount.runtime.sources",
    "LiveOptions": "edgecount.runtime.sources",
    "LiveSource": "edgecount.runtime.sources",
    "Manifest": "edgecount.manifest",
    "NV12Frame": "edgecount.runtime.frames.pixel_formats",
    "NvmmSurface": "edgecount.runtime.frames.nvmm",
    "Outcome": "edgecount.runtime.pipeline.job",
    "PixelFrame": "edgecount.runtime.frames.pixel_formats",
    "Region": "edgecount.regions",
    "RegionCount": "edgecount.result",
    "Source": "edgecount.runtime.sources",
    "SourceHealth": "edgecount.runtime.sources",
    "SourceState": "edgecount.runtime.sources",
    "Watching": "edgecount._stream",
    "draw_overlay": "edgecount.drawing",
    "open_sources": "edgecount.runtime.sources",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("edgecount")
    elif name in __all__:
        value = getattr(importlib.import_module(_HOMES.get(name, "edgecount.errors")), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
