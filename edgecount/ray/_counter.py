"""The actor that counts images for Ray Data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgecount._options import MAX_PIXELS
from edgecount.archive.rows import Row, arrow_schema, row_name
from edgecount.archive.run import ShardRun, Work
from edgecount.counter import EdgeCounter
from edgecount.models import DEFAULT_MODEL
from edgecount.ray._images import GivenImages, StoredImages, open_batch

if TYPE_CHECKING:
    import pyarrow as pa

    from edgecount.archive.images import Images
    from edgecount.manifest import Manifest

__all__ = ["Counter"]


class Counter:
    """A callable for ``ray.data.Dataset.map_batches``, which counts the images of a batch.

    Ray makes one in each of its actors, where it opens the model once:

        images = ray.data.read_binary_files("s3://bucket/images", include_paths=True)
        counts = images.map_batches(
            Counter,
            fn_constructor_kwargs={"model": "edgecount-s"},
            compute=ray.data.ActorPoolStrategy(size=8),
            num_cpus=0.5,
            batch_size=16,
        )

    Actors that take all CPUs leave none for the tasks that read and write, and wait for ever; with
    half a CPU each, one actor for each CPU leaves enough.

    Args:
        model: see `EdgeCounter`. A path must lead to the model on every machine.
        images: what reads the images of batches that have a column of paths alone; None: files and
            URLs as they are named.
        threads: threads of the engine; None: the whole CPUs of the actor, at least one; outside of
            actors one per core.
        accept_damaged: see `EdgeCounter`.
        max_pixels: most pixels of an image; larger ones are refused before they are decoded.
        options: further ones of `EdgeCounter`, such as regions.

    Raises:
        ModelError, BackendError, MissingExtraError, ConfigError: see `EdgeCounter`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Manifest = DEFAULT_MODEL,
        *,
        images: Images | None = None,
        threads: int | None = None,
        accept_damaged: bool = False,
        max_pixels: int = MAX_PIXELS,
        **options: Any,
    ) -> None:
        self._reading: dict[str, Any] = {"accept_damaged": accept_damaged, "max_pixels": max_pixels}
        self._images = StoredImages(GivenImages()) if images is None else images
        self._counter = EdgeCounter(
            model,
            threads=_own_cpus() if threads is None else threads,
            **self._reading,
            **{"density": False} | options,  # which no row of a table has
        )

    def __call__(self, batch: Mapping[str, Any]) -> pa.Table:
        """Count the images of a batch.

        Args:
            batch: columns ``path`` and ``bytes`` (contents of files, decoded as EdgeCounter decodes
                files) or ``image`` (uint8 (H, W, 3) RGB, taken as it is: Ray's ``read_images``
                applies no orientation); or ``path`` alone, of files that are read here.

        Returns:
            One row for each image, in any order, as `edgecount.archive.rows.arrow_schema` says. An
            image that cannot be read or counted has an error in its row.

        Raises:
            ConfigError: the batch has other columns.
            EdgeCountError: the engine fails whatever it is given, or the folder of the images went
                away.
        """
        images, names, sources = open_batch(batch, self._images)
        rows = _Rows()
        ShardRun(self._counter, rows, **self._reading).count(Work(images, names))
        if names is not sources:
            for row in rows.rows:
                row["source"] = row_name(sources[int(row["source"])])
        import pyarrow as pa

        return pa.Table.from_pylist(rows.rows, schema=arrow_schema())


class _Rows:
    """The rows of a batch."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Keep a row."""
        self.rows.append(row)


def _own_cpus() -> int | None:
    """Return the whole CPUs that Ray gave to this actor, at least one; None: this is no actor."""
    import ray

    if not ray.is_initialized() or ray.get_runtime_context().get_actor_id() is None:
        return None
    return max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 0)))
