"""Sources of frames: image files, folders, clips, streams and cameras."""

from edgecount.runtime.sources.base import Frame, Source
from edgecount.runtime.sources.live import LiveOptions, LiveSource, SourceHealth, SourceState
from edgecount.runtime.sources.open import open_sources

__all__ = [
    "Frame",
    "LiveOptions",
    "LiveSource",
    "Source",
    "SourceHealth",
    "SourceState",
    "open_sources",
]
