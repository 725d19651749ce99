"""`edgecount watch --check`: checks of a config without opening a camera."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import EdgeCountError, ModelError

if TYPE_CHECKING:
    from edgecount.watch.config import CameraConfig, WatchConfig


# Keys that messages about the engine begin with.
_OF_ENGINE = ("backend", "device: ", "precision: ", "threads: ", "max_side: ", "zoom: ")


@dataclass(frozen=True)
class Finding:
    """A problem of a config.

    Attributes:
        text: description, with the key that it is about.
        is_error: whether it prevents the service from running; else it is a note.
    """

    text: str
    is_error: bool = True


def check_config(config: WatchConfig) -> Iterator[Finding]:
    """Yield the problems of a config on this machine; cameras and brokers are not contacted.

    The engine is opened as the service opens it, and closed.
    """
    yield from _of_model(config)
    yield from _of_cameras(config)
    yield from _of_files(config)
    yield from _of_sinks(config)
    yield from _of_page(config)


def _of_model(config: WatchConfig) -> Iterator[Finding]:
    from edgecount.runtime.models.open import open_model
    from edgecount.watch.service.engine import open_counter, unfit_alarms

    try:
        manifest = open_model(config.model).manifest
    except EdgeCountError as error:
        yield Finding(f"model: {error}")
        return
    try:
        counter = open_counter(config)
        manifest = counter.manifest  # of a folder, that of the file that runs
        counter.close()
    except EdgeCountError as error:
        text, key = str(error), "model" if isinstance(error, ModelError) else "backend"
        yield Finding(text if text.startswith(_OF_ENGINE) else f"{key}: {text}")
    for unfit in unfit_alarms(config, manifest):
        yield Finding(str(unfit))


def _of_cameras(config: WatchConfig) -> Iterator[Finding]:
    for name, camera in config.cameras.items():
        yield from _of_camera(name, camera)


def _of_camera(name: str, camera: CameraConfig) -> Iterator[Finding]:
    from edgecount.runtime.sources.live import LiveSource
    from edgecount.runtime.sources.open import SCHEMES

    scheme, mark, _ = str(camera.source).partition("://")
    if mark and scheme.isalnum() and scheme.lower() not in SCHEMES:
        known = ", ".join(f"{one}://" for one in SCHEMES)
        yield Finding(
            f"cameras.{name}.source: {scheme}:// is none of {known}: FFmpeg may know it, or it is "
            "misspelt",
            is_error=False,
        )
    try:
        LiveSource(camera.source, camera.live_options(), name=name)
    except EdgeCountError as error:
        yield Finding(f"cameras.{name}: {error}")


def _of_files(config: WatchConfig) -> Iterator[Finding]:
    from edgecount.watch.sinks import jsonl, table
    from edgecount.watch.sinks.rotating import wrong_kind

    sinks = config.sinks
    places: tuple[tuple[str, object], ...] = (
        ("history.path", config.history),
        ("sinks.jsonl.path", sinks.jsonl),
        ("sinks.csv.path", sinks.csv),
        ("sinks.webhook.spool", sinks.webhook),
        ("sinks.clips.folder", sinks.clips),
        ("keep.folder", config.keep),
    )
    starts = {
        "sinks.jsonl.path": (jsonl.START, b""),
        "sinks.csv.path": (table.START, table.HEADER),
    }
    for key, section in places:
        if section is None:
            continue
        name = key.rpartition(".")[2]
        path: Path = getattr(section, name)
        why = _why_not_folder(path) if name == "folder" else _why_not_file(path)
        if why:
            yield Finding(f"{key}: {path} cannot be written: {why}")
        elif key == "history.path":
            yield from _of_history(path)
        elif key in starts and path.exists() and not _begins_with(path, starts[key][0]):
            yield Finding(f"{key}: cannot write {path}: {wrong_kind(starts[key][1])}")
    # The page saves regions by writing a file beside the config.
    if config.serve and not config.serve.read_only and config.path:
        why = _why_not_folder(config.path.absolute().parent)
        if why:
            yield Finding(f"{config.path}: the page cannot save to it: {why}", is_error=False)


def _begins_with(path: Path, start: bytes) -> bool:
    from edgecount.watch.sinks.rotating import begins_with

    try:
        with path.open("rb") as file:
            return begins_with(start, file.read(len(start) + 3))  # and a byte order mark
    except OSError:
        return True  # one that may be written and not read


def _of_history(path: Path) -> Iterator[Finding]:
    from edgecount.watch.history.schema import why_not_history

    try:
        why = why_not_history(path) if path.exists() else None
    except OSError as error:
        why = str(error.strerror or error)
    if why:
        yield Finding(
            f"history.path: {path}: expected a history of edgecount watch, or no file: {why}: name "
            "another file"
        )


def _of_sinks(config: WatchConfig) -> Iterator[Finding]:
    from edgecount.watch.sinks.opening import open_sinks

    try:
        open_sinks(config.sinks)  # made and not opened: their packages are there
    except EdgeCountError as error:
        yield Finding(f"sinks: {error}")


def _of_page(config: WatchConfig) -> Iterator[Finding]:
    serve = config.serve
    if serve is None:
        return
    from edgecount.watch.page.tokens import read_access

    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        yield Finding(f'serve: {error.name} is not installed: pip install "edgecount[watch]"')
    tokens = (
        None if path is None else str(path) for path in (serve.token_file, serve.viewer_token_file)
    )
    try:
        read_access(serve.host, *tokens)
    except EdgeCountError as error:
        text = str(error)
        yield Finding(text if text.startswith("serve") else f"serve: {text}")
    yield from _of_address(serve.host, serve.port)


def _of_address(host: str, port: int) -> Iterator[Finding]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        # It may be the very service whose config is checked before a reload.
        in_use = error.errno == errno.EADDRINUSE and port != 0
        text = f"serve.address: {host}:{port}: {error.strerror or error}"
        yield Finding(f"{text}; is the service running?" if in_use else text, is_error=not in_use)


def _why_not_file(path: Path) -> str | None:
    """Return why a file cannot be written; None if it can."""
    if path.is_dir():
        return "it is a folder"
    if path.exists() and not path.is_file():
        return "it is not a regular file"
    if path.exists() and not os.access(path, os.W_OK):
        return "no permission"
    return _why_not_folder(path.absolute().parent)


def _why_not_folder(path: Path) -> str | None:
    """Return why files cannot be created in a folder, which may not exist yet; None if they can."""
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return f"{place} is not a folder"
    return None if os.access(place, os.W_OK | os.X_OK) else f"no permission in {place}"
