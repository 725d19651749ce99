"""`count --out`: a shard of an archive, counted into a table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from edgecount import __version__
from edgecount._text import valid_text
from edgecount.archive.images import Images, open_images
from edgecount.archive.rows import row_name
from edgecount.archive.run import Progress, ShardRun, Work
from edgecount.archive.settings import Settings, claim, describe_model, describe_regions
from edgecount.archive.shards import Shard
from edgecount.archive.store import Store
from edgecount.archive.tables import PRIVATE, default_format, open_table
from edgecount.cli._archive.options import Given
from edgecount.cli._archive.telling import Teller
from edgecount.cli._shell.signals import stop_on_interrupt
from edgecount.errors import ConfigError

if TYPE_CHECKING:
    from edgecount.counter import EdgeCounter

_log = logging.getLogger(__name__)

# Options by which the counts stay what they are.
_FREE = ("device", "threads", "workers", "rebuild")


def count_archive(
    sources: tuple[str, ...],
    given: Given,
    open_counter: Callable[..., EdgeCounter],
    *,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> bool:
    """Count a shard; returns whether the user stopped it.

    Args:
        sources: what to count, as it was typed.
        given: the options of the table.
        open_counter: opens the counter with the options that are no others' here.
        as_json: whether the summary is JSON.
        quiet: whether there are neither bars nor a summary.
        options: the other options of the command.
    """
    if len(sources) != 1:
        raise click.UsageError(f"--out takes one folder or list, got {len(sources)} sources")
    images, shard = open_images(sources[0]), given.shard or Shard()
    names = {row_name(name): name for name in images.names() if shard.holds(name)}
    if images.left_out and shard.index == 1:  # one of the shards is enough to tell
        _log.warning("%s: left out: %s", sources[0], images.left_out)
    settings = _settings(images, shard, options)
    path = given.out / PRIVATE / "settings.json"
    with ExitStack() as stack:

        @cache
        def counter() -> EdgeCounter:
            # The rows of a table have no map.
            return stack.enter_context(open_counter(density=False, quiet=quiet, **options))

        if names and not path.exists():
            counter()  # first: options that it refuses must not become those of the folder
        stored = claim(
            path,
            settings,
            open_to={"format": given.format_name or default_format(), "version": __version__},
        )
        _check_stored(stored, given)
        teller = Teller(given.out, shard, as_json=as_json, quiet=quiet)
        with Store(given.out, shard, open_table(stored["format"])) as store:
            if given.retry_errors:
                store.forget_errors()
            work = Work.of(images, names.values(), store.done)
            reading = {name: options[name] for name in ("accept_damaged", "max_pixels")}
            progress = _count(work, store, teller, counter, **reading)
    teller.end(progress)
    return progress.stopped


def _check_stored(stored: Settings, given: Given) -> None:
    """Refuse another format than that of a table that was begun; warn of another version."""
    if given.format_name not in (None, stored["format"]):
        raise ConfigError(
            f"the table in {given.out} is {stored['format']}, got --format {given.format_name}: "
            "leave it out, or choose another folder"
        )
    if stored["version"] != __version__:
        _log.warning(
            "the table in %s was begun by edgecount %s, and this is %s: counts may differ a little",
            given.out,
            stored["version"],
            __version__,
        )


def _count(
    work: Work,
    store: Store,
    teller: Teller,
    open_counter: Callable[[], EdgeCounter],
    *,
    accept_damaged: bool,
    max_pixels: int,
) -> Progress:
    if not work.names:  # nothing is loaded to find that all is done
        return Progress(work.before)
    reading: dict[str, Any] = {"accept_damaged": accept_damaged, "max_pixels": max_pixels}
    counter = open_counter()
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_interrupt())
        stack.enter_context(teller.bar(len(work.names)))
        run = ShardRun(counter, store, on_row=teller.row, stopped=lambda: stop.requested, **reading)
        return run.count(work)


def _settings(images: Images, shard: Shard, options: dict[str, Any]) -> dict[str, Any]:
    """Return what must be the same in all runs into a folder."""
    others = {name: value for name, value in options.items() if name not in _FREE}
    return {
        "source": valid_text(images.origin),
        "shards": shard.total,
        **others,
        **describe_model(options["model"]),
        "regions": describe_regions(options["regions"]),
    }
