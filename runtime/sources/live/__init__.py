"""Live sources: cameras and streams that never end, watched and opened again when they fail."""

from edgecount.runtime.sources.live.health import SourceHealth, SourceState
from edgecount.runtime.sources.live.options import LiveOptions
from edgecount.runtime.sources.live.reader import LiveReader
from edgecount.runtime.sources.live.source import LiveSource

__all__ = ["LiveOptions", "LiveReader", "LiveSource", "SourceHealth", "SourceState"]
