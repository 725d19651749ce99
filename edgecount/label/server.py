"""The page's server, and what it holds open."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edgecount.errors import ConfigError, MissingExtraError, SourceError
from edgecount.label.pictures import Pictures
from edgecount.label.store import LabelStore
from edgecount.label.table import choose_file
from edgecount.runtime.sources.suffixes import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from typing_extensions import Self

    from edgecount import EdgeCounter
    from edgecount._web.serving import AppServer

HOST = "127.0.0.1"
PORT = 8087


class LabelServer:
    """Serves the page for the pictures of a folder to this machine, from a thread of its own.

    Args:
        folder: folder with the pictures.
        out: CSV to go on with; None: the folder's only one, or labels.csv.
        port: port to listen at; 0 takes a free one.
        open_counter: opens the counter that proposes heads, with the threshold that it is given;
            None: nothing is proposed.
        model: name of the model that proposes.
        accept_damaged: whether damaged files are shown as far as they can be decoded.
        max_pixels: most pixels of a picture.

    Raises:
        SourceError: the folder or a file in it cannot be read, or there is no picture.
        OutputError: nothing can be written.
        ConfigError: several tables are there, or another process writes them.
        MissingExtraError: starlette or uvicorn is not installed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        out: Path | None = None,
        port: int = PORT,
        open_counter: Callable[[float], EdgeCounter] | None = None,
        model: str = "",
        accept_damaged: bool = False,
        max_pixels: int | None = None,
    ) -> None:
        options = {} if max_pixels is None else {"max_pixels": max_pixels}
        self.pictures = _open_pictures(folder, accept_damaged, options)
        try:
            import uvicorn  # noqa: F401 (of the server; its lack is told here)

            from edgecount._web.serving import AppServer
            from edgecount.label.app import Desk, build_app
        except ImportError as error:
            package = (error.name or "uvicorn").partition(".")[0]
            raise MissingExtraError(package, "label", "to serve the page") from error
        self.token = secrets.token_urlsafe(24)
        self.store = LabelStore(choose_file(folder, out))
        self._server: AppServer | None = None
        self._proposer = None
        try:
            if open_counter is not None:
                from edgecount.label.proposals import Proposer

                self._proposer = Proposer(self.pictures, open_counter, model)
            self._desk = Desk(folder, self.pictures, self.store, self._proposer)
            app = build_app(self._desk, token=self.token, port=port)
            self._server = AppServer(app, HOST, port, setting="port")
            self._server.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the server, which serves already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End serving."""
        self.close()

    @property
    def address(self) -> str:
        """Address of the page, with the token that lets in."""
        return f"{self._url}login?token={self.token}"

    def address_once(self) -> str:
        """Return an address that lets in once: other users may see a browser's command line."""
        return f"{self._url}login?once={self._desk.make_code()}"

    def tally(self) -> Counter[str]:
        """Return how many pictures are open, done and empty, and `heads` of the done ones."""
        return self.store.tally()

    def close(self) -> None:
        """End the server and its threads; everything is written already."""
        if self._proposer is not None:
            self._proposer.close()  # first: requests wait for it
        if self._server is not None:
            self._server.stop()
        self.store.close()

    @property
    def _url(self) -> str:
        if self._server is None:
            raise ConfigError("port: the server is not running")
        return self._server.url


def _open_pictures(folder: Path, accept_damaged: bool, options: dict[str, int]) -> Pictures:
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise SourceError(f"expected a folder of pictures, {folder} {what}")
    pictures = Pictures(folder, accept_damaged=accept_damaged, **options)
    if not pictures.names():
        kinds = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
        below = _folders_with_pictures(folder)
        hint = f"; there are some in {', '.join(below)}" if below else ""
        raise SourceError(f"{folder} holds no picture ({kinds}){hint}")
    return pictures


def _folders_with_pictures(folder: Path) -> list[str]:
    return [
        str(below)
        for below in sorted(path for path in folder.iterdir() if path.is_dir())[:20]
        if any(path.suffix.lower() in IMAGE_SUFFIXES for path in below.iterdir())
    ][:3]
