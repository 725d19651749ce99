"""Routes of the page, and the answers to them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from edgecount._text import valid_text
from edgecount._web.access import SESSION, Access
from edgecount._web.assets import form, serve
from edgecount._web.guard import Guard, Limits, client_of
from edgecount._web.reply import RefusedError, encode, http_error, read_json, reply
from edgecount.errors import EdgeCountError, OutputError, SourceError
from edgecount.label.labels import Labels, Point, parse_labels, points_outside
from edgecount.label.pictures import THUMBNAIL, TILE, VIEW, Pictures
from edgecount.label.proposals import LOWEST, Proposer
from edgecount.label.store import ConflictError, LabelStore
from edgecount.label.table import unfit_name

_log = logging.getLogger(__name__)

_STATIC = Path(__file__).parent / "static"
_REFUSAL = "This address or token does not let in, or has done so before."
_AHEAD = 4  # pictures that are counted before they are looked at
_PATIENCE = 5.0  # s that an answer waits for a proposal
_MOST_BYTES = 4 * 1024 * 1024  # of a request
_WRITES = 1200  # a minute


class ReplacedError(Exception):
    """A picture's file is another one than that which its labels were made of.

    Args:
        picture: what the page is told of the new one, as `Desk.picture` returns it.
    """

    def __init__(self, picture: dict[str, Any]) -> None:
        super().__init__("another picture has this file's name now")
        self.picture = picture


class Desk:
    """A folder's pictures with labels and proposals, in the words of the page.

    Args:
        folder: folder of the pictures.
        pictures: the pictures.
        store: their labels.
        proposer: proposes heads; None: nobody does.
    """

    def __init__(
        self, folder: Path, pictures: Pictures, store: LabelStore, proposer: Proposer | None
    ) -> None:
        self.pictures, self.store, self.proposer = pictures, store, proposer
        self.folder = folder
        path = Path(os.path.relpath(folder.resolve(), store.table.parent.resolve()))
        self._prefix = "" if path == Path() else f"{path.as_posix()}/"
        self._codes: set[str] = set()
        self._outside: dict[str, frozenset[Point]] = {}  # by picture, as they were told
        self._id = _identity(folder, store.table)

    def key(self, name: str) -> str:
        """Return the path by which the CSV names a picture."""
        return self._prefix + name

    def make_code(self) -> str:
        """Return a code that lets in once."""
        code = secrets.token_urlsafe(24)
        self._codes.add(code)
        return code

    def take_code(self, code: str) -> bool:
        """Return whether a code lets in; it does not again."""
        known = code in self._codes
        self._codes.discard(code)
        return known

    def state(self) -> dict[str, Any]:
        """Return all pictures, and how far each is."""
        proposer = self.proposer
        return {
            "folder": valid_text(str(self.folder)),
            "table": valid_text(str(self.store.table)),
            "id": self._id,
            "model": proposer.model if proposer else None,
            "threshold": proposer.threshold if proposer else None,
            "lowest": LOWEST,
            "view": VIEW,
            "tile": TILE,
            "pictures": [self._row(name) for name in self.pictures.names()],
        }

    def picture(self, name: str) -> dict[str, Any]:
        """Return a picture's size and labels.

        Raises:
            SourceError: it cannot be read.
        """
        width, height = self.pictures.size(name)
        labels = self.store.get(self.key(name))
        known = self._outside.get(name, frozenset())
        self._outside[name] = known.union(points_outside(labels, (width, height)))
        said, warning = labels.size, None
        if said is not None and said != (width, height):
            warning = (
                f"{self.store.table.name} says {said[0]}x{said[1]}, the picture is "
                f"{width}x{height}: its points may lie elsewhere"
            )
        about = {"name": name, "width": width, "height": height, "warning": warning}
        return {**about, "file": self.pictures.fingerprint(name), **_told(labels)}

    def save(self, name: str, given: Any) -> dict[str, Any]:
        """Take a picture's labels.

        Raises:
            RefusedError: they make no sense.
            ReplacedError: they are of another picture; nothing was changed.
            ConflictError, OutputError: see `LabelStore.put`.
        """
        unfit = unfit_name(name)
        if unfit:
            raise RefusedError(400, f"{name!r}: {unfit}")
        seen = given if isinstance(given, dict) else {}
        # A page that was left open saves at the same address when another folder is served there.
        if seen.get("table", self._id) != self._id:
            raise RefusedError(412, "this page is of another folder: open it anew")
        if "file" in seen and seen["file"] != self.pictures.fingerprint(name):
            raise ReplacedError(self.picture(name))
        try:
            # All that were told may stay: the page's undo brings a point back.
            known = self._outside.get(name, frozenset())
            labels = parse_labels(given, self.pictures.size(name), known)
        except ValueError as error:
            if isinstance(error, SourceError):
                raise
            raise RefusedError(400, str(error)) from None
        return _told(self.store.put(self.key(name), labels, str(given.get("revision"))))

    def propose(self, name: str) -> dict[str, Any]:
        """Return the heads that the model finds in a picture, and count those after it."""
        if self.proposer is None:
            return {"state": "off"}
        names = self.pictures.names()
        place = names.index(name) if name in names else 0
        after = (one for one in names[place + 1 :] if self.store.get(self.key(one)).state == "new")
        self.proposer.want([name, *(one for one, _ in zip(after, range(_AHEAD), strict=False))])
        found = self.proposer.get(name, _PATIENCE)
        if found is None:
            return {"state": "waiting"}
        if found.problem:
            return {"state": "failed", "problem": found.problem}
        return {"state": "ready", "heads": found.heads}

    def _row(self, name: str) -> dict[str, Any]:
        labels = self.store.get(self.key(name))
        return {
            "name": valid_text(name),
            "state": labels.state,
            "count": len(labels.points),
            "problem": self.pictures.problem(name),
        }


def build_app(desk: Desk, *, token: str, port: int) -> ASGIApp:
    """Return the app.

    Args:
        desk: what the page works on.
        token: what lets in; other users of the machine reach its addresses, too.
        port: port that is listened at, which the cookie's name has.
    """
    failures = {
        ConflictError: _conflict,
        ReplacedError: _replaced,
        RefusedError: _refused,
        EdgeCountError: _refused,
        HTTPException: http_error,
        Exception: _failed,
    }
    routes = [
        Route("/", _index),
        Route("/static/{path:path}", _static),
        Route("/login", _login, methods=["GET"]),
        Route("/login", _login_form, methods=["POST"]),
        Route("/api/state", _state),
        Route("/api/picture", _picture, methods=["GET"]),
        Route("/api/picture", _save, methods=["PUT"]),
        Route("/api/view.jpg", _view),
        Route("/api/tile.jpg", _tile),
        Route("/api/proposal", _proposal),
    ]
    app = Starlette(routes=routes, exception_handlers=failures)
    app.router.redirect_slashes = False
    limits = Limits(
        cookie=f"edgecount_label_{port or secrets.token_hex(4)}",
        other_name="the page is served at 127.0.0.1 and localhost alone",
        body=_MOST_BYTES,
        writes=_WRITES,
    )
    app.state.desk, app.state.access, app.state.cookie = desk, Access(token), limits.cookie
    return Guard(app, access=app.state.access, limits=limits)


async def _index(request: Request) -> Response:
    return _file(request, "index.html")


async def _static(request: Request) -> Response:
    return _file(request, request.path_params["path"])


def _file(request: Request, name: str) -> Response:
    found = serve(request, name, _STATIC)
    if found is None:
        raise RefusedError(404, "there is no such file")
    return found


async def _login(request: Request) -> Response:
    if {"token", "once"} & request.query_params.keys():
        once = request.query_params.get("once", "")
        return _let_in(request, request.query_params.get("token", ""), once)
    refusal = _REFUSAL if "wrong" in request.query_params else ""
    return HTMLResponse(form("enter.html", refusal, _STATIC))


async def _login_form(request: Request) -> Response:
    form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=4)
    return _let_in(request, form.get("token", [""])[0].strip())


def _let_in(request: Request, token: str, once: str = "") -> Response:
    access, guard, client = request.app.state.access, request.state.guard, client_of(request.scope)
    wait = guard.tries.wait(client)
    if wait:
        text = f"Too many wrong tokens; wait {wait:.0f} s."
        return HTMLResponse(form("enter.html", text, _STATIC), 429)
    desk: Desk = request.app.state.desk
    if not (desk.take_code(once) or access.role_of(token) == "editor"):
        if request.state.role == "editor":  # a code that let in before
            return RedirectResponse("/", 303)
        guard.tries.take(client)
        return RedirectResponse("/login?wrong", 303)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        request.app.state.cookie,
        access.cookie("editor"),
        max_age=SESSION,
        httponly=True,
        samesite="strict",
    )
    return answer


async def _state(request: Request) -> Response:
    state = await run_in_threadpool(_desk(request).state)
    version = hashlib.sha256(encode(state).encode()).hexdigest()[:20]
    if request.query_params.get("known") == version:
        return reply({"version": version})
    return reply({"version": version, **state})


async def _picture(request: Request) -> Response:
    return reply(await run_in_threadpool(_desk(request).picture, _name(request)))


async def _save(request: Request) -> Response:
    given = await read_json(request)
    return reply(await run_in_threadpool(_desk(request).save, _name(request), given))


async def _view(request: Request) -> Response:
    side = THUMBNAIL if "small" in request.query_params else VIEW
    data = await run_in_threadpool(_desk(request).pictures.view, _name(request), side)
    return Response(data, media_type="image/jpeg")


async def _tile(request: Request) -> Response:
    try:
        column, row = (int(request.query_params.get(key, "")) for key in ("column", "row"))
    except ValueError:
        raise RefusedError(400, "expected column and row, whole numbers") from None
    data = await run_in_threadpool(_desk(request).pictures.tile, _name(request), column, row)
    return Response(data, media_type="image/jpeg")


async def _proposal(request: Request) -> Response:
    return reply(await run_in_threadpool(_desk(request).propose, _name(request)))


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _name(request: Request) -> str:
    """Return the name of a picture of the folder; no other path is ever looked at."""
    name = request.query_params.get("name", "")
    if name not in _desk(request).pictures:
        raise RefusedError(404, "there is no such picture")
    return name


def _identity(folder: Path, table: Path) -> str:
    """Return what tells a folder and its table from others, also from those of other machines.

    All that a browser labels is at 127.0.0.1 for it, whichever machine the port is forwarded from.
    """
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, ValueError):
        machine = ""
    machine = machine or platform.node()
    said = json.dumps([machine, str(folder.resolve()), str(table.resolve())])
    return hashlib.sha256(said.encode()).hexdigest()[:20]


def _told(labels: Labels) -> dict[str, Any]:
    return {"state": labels.state, "points": labels.points, "revision": labels.revision}


async def _conflict(_: Request, error: Exception) -> Response:
    current = error.current if isinstance(error, ConflictError) else Labels()
    return reply({"error": str(error), "current": _told(current)}, 409)


async def _replaced(_: Request, error: Exception) -> Response:
    picture = error.picture if isinstance(error, ReplacedError) else {}
    return reply({"error": str(error), "picture": picture}, 409)


async def _refused(_: Request, error: Exception) -> Response:
    if isinstance(error, RefusedError):
        status = error.status
    else:
        status = 507 if isinstance(error, OutputError) else 422
    return reply({"error": valid_text(" ".join(str(error).split()))}, status)


async def _failed(_: Request, error: Exception) -> Response:
    _log.error("the page could not answer: %s: %s", type(error).__name__, error)
    return reply({"error": "edgecount label failed to answer; its terminal says why"}, 500)
