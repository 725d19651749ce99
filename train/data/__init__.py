"""Annotated images: readers, splits, crops."""

from edgecount.train.data.readers import READERS, Sample, read_samples

__all__ = ["READERS", "Sample", "read_samples"]
