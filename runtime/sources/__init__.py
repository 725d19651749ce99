"""Sources of frames: image files, folders, clips, streams and cameras."""

from edgecount.runtime.sources.base import Frame, Source
from edgecount.runtime.sources.open import open_sources

__all__ = ["Frame", "Source", "open_sources"]
