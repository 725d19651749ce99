"""The config of `edgecount watch`, from its file or from the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from edgecount.errors import ConfigError

if TYPE_CHECKING:
    from edgecount.analytics import Line
    from edgecount.regions import Region
    from edgecount.watch.config import CameraConfig, WatchConfig

# Flags of the command line by the config's keys, for error messages.
_FLAGS = {
    ("serve", "address"): "--serve",
    ("serve", "token_file"): "--token-file",
    ("serve", "viewer_token_file"): "--viewer-token-file",
    ("history", "path"): "--history",
    ("sinks", "jsonl", "path"): "--jsonl",
    ("sinks", "csv", "path"): "--csv",
    ("max_side",): "--max-side",
    ("model",): "--model",
    ("backend",): "--backend",
    ("device",): "--device",
    ("precision",): "--precision",
    ("threads",): "--threads",
}
_OF_CAMERA = {"rate": "--rate", "regions": "--region", "lines": "--line"}


@dataclass(frozen=True)
class PageOptions:
    """The command line's options of the page, which override the config.

    Attributes:
        address: where it is served; None: where the config says.
        token_file: file with the editors' token.
        viewer_token_file: file with the viewers' token.
        read_only: whether nothing may be changed.
    """

    address: str | None = None
    token_file: Path | None = None
    viewer_token_file: Path | None = None
    read_only: bool = False

    def over(self, config: WatchConfig) -> WatchConfig:
        """Return a config with these options applied.

        Raises:
            UsageError: there is no page that the options could apply to.
            SettingError: an option is invalid.
        """
        given = {one.name: value for one in fields(self) if (value := getattr(self, one.name))}
        if not given:
            return config
        if config.serve is None and self.address is None:
            flag = "--" + next(iter(given)).replace("_", "-")
            raise click.UsageError(f"{flag} needs a page: pass --serve, too")
        return replace(config, serve=_page(config, given))


def _page(config: WatchConfig, given: Mapping[str, Any]) -> Any:
    from edgecount.watch.config import ServeConfig, SettingError

    before = {} if config.serve is None else vars(config.serve)
    try:
        return ServeConfig(**{**before, **given})
    except SettingError as error:
        raise error.below("serve") from None


def read_config(path: Path, page: PageOptions) -> WatchConfig:
    """Return the config of a file, with the page's options of the command line.

    Raises:
        ConfigError: the config is invalid.
    """
    from edgecount.watch.config import load

    config = load(path)
    return _flagged(lambda: page.over(config))


def make_config(
    sources: Sequence[str],
    page: PageOptions,
    *,
    rate: float | None,
    regions: Sequence[Region],
    lines: Sequence[Line],
    history: Path | None,
    jsonl: Path | None,
    csv: Path | None,
    **engine: Any,
) -> WatchConfig:
    """Return the config that the command line describes.

    Raises:
        ConfigError: it makes no sense.
        UsageError: options do not go together.
    """
    from edgecount.watch.config import (
        CsvConfig,
        HistoryConfig,
        JsonlConfig,
        SinksConfig,
        WatchConfig,
    )

    if len(sources) > 1 and (regions or lines):
        flag = "--region" if regions else "--line"
        raise click.UsageError(f"{flag} is for a single camera: for several, use --config")
    for flag, path in (("--jsonl", jsonl), ("--csv", csv)):
        if path == Path("-"):
            raise click.UsageError(
                f"{flag}: expected a file, got -: on stdout there are lines of counts, see "
                "--print-every"
            )
    shapes = _shapes(regions, lines)

    def make() -> WatchConfig:
        return WatchConfig(
            cameras=_cameras(sources, {} if rate is None else {"rate": rate}, shapes),
            history=HistoryConfig(history) if history else None,
            sinks=SinksConfig(
                jsonl=JsonlConfig(jsonl) if jsonl else None, csv=CsvConfig(csv) if csv else None
            ),
            **engine,
        )

    return _flagged(lambda: page.over(make()))


def _cameras(
    sources: Sequence[str], rate: Mapping[str, Any], shapes: Mapping[str, Any]
) -> dict[str, CameraConfig]:
    from edgecount.watch.config import CameraConfig, SettingError

    cameras: dict[str, CameraConfig] = {}
    for number, source in enumerate(sources, 1):
        name = _free(_id(source, number), cameras)
        given = int(source) if source.isdecimal() and len(source) < 10 else source
        try:
            cameras[name] = CameraConfig(given, **rate, **shapes)
        except SettingError as error:
            flag = _OF_CAMERA.get(str(error.keys[0]), "SOURCE")
            inner = "".join(f" {key}" for key in error.keys[1:2])
            raise ConfigError(f"{flag}{inner}: {error.reason}") from None
    return cameras


def _shapes(regions: Sequence[Region], lines: Sequence[Line]) -> dict[str, Any]:
    """Return regions and lines as a config has them, in shares of the frame."""
    from edgecount.watch.config import LineConfig, RegionConfig

    for flag, given in (("--region", regions), ("--line", lines)):
        names = [one.name for one in given]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise click.UsageError(f"{flag}: the name {twice!r} is given twice; names must differ")
        pixels = next((one.name for one in given if not one.fractions), None)
        if pixels is not None:
            example = "0%,0%;50%,0%;50%,100%" if flag == "--region" else "50%,100%;50%,0%"
            raise click.UsageError(
                f"{flag} {pixels}: expected percent of the picture, which hold at any size "
                f"({pixels}:{example}), got pixels"
            )
    return {
        "regions": {
            one.name: RegionConfig(tuple((float(x), float(y)) for x, y in one.polygon))
            for one in regions
        },
        "lines": {
            one.name: LineConfig(*((float(x), float(y)) for x, y in (one.start, one.end)))
            for one in lines
        },
    }


def _id(source: str, number: int) -> str:
    """Return an id of a camera from its host or device: user, password and path may be secret."""
    try:
        name = (urlsplit(source).hostname or "") if "://" in source else ""
    except ValueError:
        name = ""
    if source.startswith("/dev/"):
        name = Path(source).name
    elif source.isdecimal():
        name = f"camera-{int(source)}"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48]
    return slug or f"camera-{number}"


def _free(name: str, taken: Mapping[str, object]) -> str:
    """Return a name that is not taken: that one, or with a number behind it."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def _flagged(make: Callable[[], WatchConfig]) -> WatchConfig:
    """Return what is made; errors name flags in place of the config's keys."""
    from edgecount.watch.config import SettingError

    try:
        return make()
    except SettingError as error:
        flag = _FLAGS.get(tuple(map(str, error.keys)))
        raise (ConfigError(f"{flag}: {error.reason}") if flag else error) from None
