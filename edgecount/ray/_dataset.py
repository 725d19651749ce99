"""A table of counts from the images of a folder, a bucket or a dataset of Ray Data."""

from __future__ import annotations

import inspect
import os
from collections.abc import Container, Iterable, Mapping, Sequence, Set
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgecount._numbers import is_number
from edgecount._options import check_backend, check_precision
from edgecount._telemetry import refuse_reports
from edgecount.archive.images import Images, open_images
from edgecount.archive.rows import row_name
from edgecount.counter import EdgeCounter
from edgecount.errors import ConfigError, SourceError
from edgecount.manifest import Manifest
from edgecount.models import DEFAULT_MODEL, list_models
from edgecount.ray._counter import Counter
from edgecount.ray._images import GivenImages, StoredImages
from edgecount.ray._pool import choose_pool
from edgecount.ray._stores import Stores

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem
    from ray.data import Dataset

__all__ = ["count_images"]

_OF_ENGINES = ("backend", "precision", "rebuild", "device")
# Of map_batches, and said by other arguments.
_OF_COUNTING = ("batch_size", "batch_format", "compute", "fn_constructor_kwargs", "num_cpus")
_TASKS = 4  # for each actor at least, so that they end together
_LARGEST_TASK = 256  # images, which are counted again if their actor dies


def count_images(
    images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Dataset,
    model: str | os.PathLike[str] | Manifest = DEFAULT_MODEL,
    *,
    concurrency: int | tuple[int, int] | None = None,
    num_cpus: float | None = None,
    batch_size: int = 16,
    filesystem: FileSystem | None = None,
    done: Iterable[str] | Container[str] = (),
    actor_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Count images on a cluster; Ray starts here if it has not been started or joined before.

    Args:
        images: a folder with the folders in it, or a list of images (a .txt, or @FILE), as of
            ``edgecount count --shard``; the URL of a folder in an object store (s3://, gs://,
            abfs://, hdfs://); paths and URLs of images one by one; or a dataset with columns
            that `Counter` takes. Folders on a disk must be there on every machine of the cluster.
        model: see `EdgeCounter`; a path must lead to the model here and on every machine.
        concurrency: number of actors, or the least and the most; None: one for each CPU that the
            cluster has now.
        num_cpus: CPUs of an actor, of which the whole ones are its engine's threads. None: half a
            CPU, or none where that would leave no whole CPU for what reads and writes.
        batch_size: images that an actor takes at once. Ray holds as many files in memory, where it
            reads them.
        filesystem: where the images lie that are named by paths and URLs, for stores that need
            more than a URL says.
        done: sources, as rows have them, of images to leave out, such as those that an earlier run
            has counted: a set, a list, a column of Arrow or pandas; not for datasets, which have a
            ``filter``.
        actor_options: further options of ``map_batches``, such as ``{"num_gpus": 1}``.
        options: those of `EdgeCounter`, such as regions or accept_damaged.

    Returns:
        A lazy dataset of one row per image, in any order, with the columns of
        `edgecount.archive.rows.Row`: the images are counted when it is iterated or written. An
        image that cannot be read or counted has an error in its row.

    Raises:
        SourceError: the images cannot be listed, or there is none.
        ModelError: the model is missing or damaged.
        ConfigError: an option makes no sense.
    """
    import ray

    _check_options(model, options, batch_size)
    _check_of_ray(actor_options, filesystem)
    leave_out = _sources(done)
    choose_pool(concurrency, num_cpus, ())  # refuses what makes no sense before Ray starts
    # Of the machine where this runs: actors have working directories of their own.
    base = os.getcwd() if filesystem is None else ""  # noqa: PTH109
    reader: Images = StoredImages(GivenImages(base), filesystem)
    dataset: Any = images
    names: list[str] | None = None
    if not isinstance(images, ray.data.Dataset):
        reader, found = _list(images, base, filesystem)
        names = [name for name in dict.fromkeys(found) if row_name(name) not in leave_out]
    refuse_reports()
    if not ray.is_initialized():
        ray.init()
    pool = choose_pool(concurrency, num_cpus, _cpus_of_nodes())
    if names is not None:
        task = max(1, min(_LARGEST_TASK, len(names) // (_TASKS * pool.most)))
        batch_size = min(batch_size, task)
        dataset = _dataset_of(names, task)
    counts: Dataset = dataset.map_batches(
        Counter,
        batch_size=batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(min_size=pool.least, max_size=pool.most),
        fn_constructor_kwargs={"model": _everywhere(model), "images": reader, **options},
        num_cpus=pool.num_cpus,
        **(actor_options or {}),
    )
    return counts


def _check_options(
    model: str | os.PathLike[str] | Manifest, options: Mapping[str, Any], batch_size: int
) -> None:
    """Refuse here what every actor would refuse, with less to read."""
    try:
        inspect.signature(EdgeCounter).bind(model, **options)
    except TypeError as error:
        raise ConfigError(f"count_images: {error}, neither of its own nor of EdgeCounter") from None
    if not is_number(batch_size, Integral) or batch_size < 1:
        raise ConfigError(f"batch_size: expected a whole number, 1 or more, got {batch_size!r}")
    backend = options.get("backend", "auto")
    if isinstance(backend, str):
        check_backend(backend)
    check_precision(options.get("precision", "auto"))
    # Without the engine, which may be on the other machines alone, and with its precisions.
    others = {name: value for name, value in options.items() if name not in _OF_ENGINES}
    EdgeCounter(model, backend="fake", **others).close()


def _check_of_ray(actor_options: object, filesystem: object) -> None:
    if actor_options is not None and not isinstance(actor_options, Mapping):
        raise ConfigError(
            f"actor_options: expected a mapping such as {{'num_gpus': 1}}, got {actor_options!r}"
        )
    for name in actor_options or ():
        if name in _OF_COUNTING:
            raise ConfigError(
                f"actor_options: expected further options of map_batches, got {name!r}, which "
                "count_images sets itself (concurrency, num_cpus, batch_size)"
            )
    if filesystem is not None and not hasattr(filesystem, "open_input_stream"):
        raise ConfigError(
            f"filesystem: expected a pyarrow.fs.FileSystem or None, got {filesystem!r}; one of "
            "fsspec by pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(...))"
        )


def _sources(done: Any) -> Container[str]:
    """Return the sources of rows as something that can be asked for each.

    Raises:
        ConfigError: they are something else.
    """
    if isinstance(done, Set) or (hasattr(done, "__contains__") and not hasattr(done, "__iter__")):
        return cast("Container[str]", done)
    if isinstance(done, (str, bytes)) or hasattr(done, "columns") or not isinstance(done, Iterable):
        raise ConfigError(
            "done: expected sources of rows, such as a set of them or the column `source` of a "
            f"table, got a value of type {type(done).__name__}"
        )
    plain = (one.as_py() if hasattr(one, "as_py") else one for one in done)
    return frozenset(os.fsdecode(one) if isinstance(one, bytes) else str(one) for one in plain)


def _everywhere(
    model: str | os.PathLike[str] | Manifest,
) -> str | os.PathLike[str] | Manifest:
    """Return a model whose path, if it is one, does not depend on the working directory."""
    if isinstance(model, Manifest) or model in list_models():
        return model
    path = Path(model).expanduser()
    return path.absolute() if path.exists() else model


def _list(
    images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    base: str,
    filesystem: FileSystem | None,
) -> tuple[Images, Iterable[str]]:
    """Return what reads the images, and their names."""
    if not isinstance(images, (str, os.PathLike)):
        return StoredImages(GivenImages(base), filesystem), _paths(images)
    text, stores = os.fspath(images), Stores(filesystem)
    if stores.hold(text):
        names = list(stores.names(text))
        folder = None if names == [text] else text
        return StoredImages(GivenImages(base), filesystem, folder), names
    text = os.path.expanduser(text)  # noqa: PTH111
    # Not relative, as paths of a folder would be: see `count_images`.
    found = open_images(os.path.abspath(text) if os.path.isdir(text) else text)  # noqa: PTH100, PTH112
    return StoredImages(found), found.names()


def _paths(images: Iterable[str | os.PathLike[str]]) -> list[str]:
    try:
        paths = [os.fsdecode(path) for path in images]
    except TypeError as error:
        raise ConfigError(
            f"images: expected a folder, a list, a URL, several paths or a dataset of Ray: {error}"
        ) from None
    if not paths:
        raise SourceError("images: expected paths of images, got none")
    return paths


def _cpus_of_nodes() -> list[int]:
    import ray

    return [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]


def _dataset_of(names: Sequence[str], task: int) -> Dataset:
    """Return a dataset of names, whose blocks have so many."""
    import pyarrow as pa
    import ray

    # As bytes: a path need not be UTF-8.
    paths = pa.array(map(os.fsencode, names), pa.binary())
    blocks = [pa.table({"path": paths[at : at + task]}) for at in range(0, len(paths), task)]
    return ray.data.from_arrow(blocks)
