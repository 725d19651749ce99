"""Counting on a cluster with Ray Data: a million images on as many machines as there are.

    import edgecount.ray

    counts = edgecount.ray.count_images("s3://bucket/images")
    counts.write_parquet("s3://bucket/counts")

`count_images` is the whole of it; `Counter` is the class behind, for pipelines of one's own. Each
image gives one row (`edgecount.archive.rows`), with an error where it could not be counted.
"""

from __future__ import annotations

from edgecount.errors import MissingExtraError

try:
    import ray.data as _needed  # noqa: F401
except ImportError as error:
    raise MissingExtraError("ray[data]", "ray", "to count on a cluster") from error

from edgecount.ray._counter import Counter
from edgecount.ray._dataset import count_images

__all__ = ["Counter", "count_images"]
