"""The routes of the page: what is asked, what is changed, and how it is answered."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from edgecount._web.access import SESSION
from edgecount._web.assets import form, serve
from edgecount._web.guard import client_of
from edgecount._web.reply import RefusedError, read_json, reply
from edgecount.errors import ConfigError, EdgeCountError
from edgecount.watch.config.checks import CAMERA_ID
from edgecount.watch.page.contract import HUNG, CameraView, History, Service
from edgecount.watch.page.messages import patterns_message, series_message, state_message
from edgecount.watch.shapes import (
    NAMED,
    SHAPES,
    ChangedError,
    in_order,
    order_of,
    shapes_version,
)

STATIC = Path(__file__).parent / "static"
_WHAT = re.compile(r"count|(region|line):.{1,200}", re.DOTALL)
_TAG = re.compile(r'(?:W/)?"([^"]*)"|([^\s,"]+)')  # one of If-Match; some leave the quotes out
_MOST_POINTS = 5000
_LONGEST = 12 * 366 * 86400.0  # s that one question may cover
_REFUSAL = "This is not a token of this page. Mind spaces and line ends."


async def index(request: Request) -> Response:
    """Answer with the page."""
    return serve(request, "index.html", STATIC) or reply(
        {"error": "the page is not installed"}, 500
    )


async def static(request: Request) -> Response:
    """Answer with a file of the page."""
    found = serve(request, request.path_params["path"], STATIC)
    if found is None:
        raise RefusedError(404, "there is no such file")
    return found


async def login_form(request: Request) -> Response:
    """Answer with the form that asks for a token."""
    return HTMLResponse(_form(_REFUSAL if "wrong" in request.query_params else ""))


async def login(request: Request) -> Response:
    """Take a token from the form and set the cookie."""
    access, guard = request.app.state.access, request.state.guard
    wait = guard.tries.wait(client_of(request.scope))
    if wait:
        text = f"Too many wrong tokens; wait {wait:.0f} s."
        return HTMLResponse(_form(text), 429)
    given = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=4)
    role = access.role_of(given.get("token", [""])[0].strip())
    if role is None:
        guard.tries.take(client_of(request.scope))
        return RedirectResponse("/login?wrong", 303)
    answer = RedirectResponse("/", 303)
    is_tls = request.headers.get("origin", "").startswith("https:")
    answer.set_cookie(
        request.app.state.cookie,
        access.cookie(role),
        max_age=SESSION,
        httponly=True,
        samesite="strict",
        secure=is_tls,
    )
    return answer


async def logout(request: Request) -> Response:
    """Take the cookie away."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(request.app.state.cookie, httponly=True, samesite="strict")
    return answer


async def state(request: Request) -> Response:
    """Answer with all that the page shows when it is opened."""
    about = request.app.state.about
    more = {**about, "role": request.state.role, "time": time.time()}
    return reply(await run_in_threadpool(state_message, _service(request), **more))


async def history(request: Request) -> Response:
    """Answer with counts over time."""
    store, camera, what = _asked(request)
    start, end = _range(request)
    points = int(_number(request, "points", 600))
    if not 1 <= points <= _MOST_POINTS:
        raise RefusedError(400, f"points: expected 1 to {_MOST_POINTS}, got {points}")
    found = await run_in_threadpool(store.series, camera, what, start, end, points)
    return reply(series_message(found, store.zone))


async def patterns(request: Request) -> Response:
    """Answer with what weeks look like."""
    store, camera, what = _asked(request)
    now = time.time()
    found = await run_in_threadpool(store.patterns, camera, what, now=now)
    return reply(patterns_message(found, now, store.zone))


async def events(request: Request) -> Response:
    """Answer with events, the newest first."""
    store = _history(request)
    camera = request.query_params.get("camera")
    if camera is not None:
        _view(request, camera)
    start, end = _range(request)
    return reply({"events": await run_in_threadpool(store.events, camera, start, end)})


async def export(request: Request) -> Response:
    """Answer with counts over time as a CSV file."""
    store, camera, what = _asked(request)
    start, end = _range(request)
    rows = store.export(start, end, camera=camera, what=what)
    name = re.sub(r"[^a-z0-9]+", "-", f"{camera}-{what}".lower()).strip("-")
    headers = {"Content-Disposition": f'attachment; filename="edgecount-{name}.csv"'}
    return StreamingResponse(rows, headers=headers, media_type="text/csv; charset=utf-8")


async def acknowledge(request: Request) -> Response:
    """Note that somebody knows of an alarm."""
    camera, name = request.path_params["camera"], request.path_params["name"]
    if name not in _view(request, camera).alarms():
        raise RefusedError(404, "there is no such alarm")
    await run_in_threadpool(_service(request).acknowledge, camera, name)
    return reply({"acknowledged": name})


async def shapes(request: Request) -> Response:
    """Answer with regions, lines and ground of a camera; their version is the ETag."""
    found = _view(request, request.path_params["camera"]).shapes()
    answer = reply({**found, "order": order_of(found)})
    answer.headers["ETag"] = f'"{shapes_version(found)}"'
    return answer


async def change_shapes(request: Request) -> Response:
    """Change regions, lines and ground of a camera, if they are what the change is made to."""
    camera = request.path_params["camera"]
    view = _view(request, camera)
    given = _given_shapes(await read_json(request))
    tags = ", ".join(request.headers.getlist("if-match")).strip()
    if not _TAG.search(tags):
        text = "expected If-Match: the ETag that this address gives, or * for whatever is there"
        raise RefusedError(428, text)
    change = _service(request).change_shapes
    since = None if tags == "*" else _meant(tags, shapes_version(view.shapes()))
    try:
        await run_in_threadpool(change, camera, given, since=since)
    except ChangedError as error:
        current = view.shapes()
        version = shapes_version(current)
        told = {**current, "order": order_of(current)}
        more = {"shapes": told, "shapes_version": version}
        answer = reply({"error": str(error), **more}, 412)
        answer.headers["ETag"] = f'"{version}"'
        return answer
    return await shapes(request)


async def keep(request: Request) -> Response:
    """Keep a camera's picture for labelling."""
    camera = request.path_params["camera"]
    _view(request, camera)
    return reply({"kept": await run_in_threadpool(_service(request).keep, camera)})


async def snapshot(request: Request) -> Response:
    """Answer with a camera's newest picture."""
    picture = await run_in_threadpool(_view(request, request.path_params["camera"]).jpeg)
    if picture is None:
        raise RefusedError(503, "there is no picture yet")
    return Response(picture, media_type="image/jpeg")


async def metrics(request: Request) -> Response:
    """Answer with Prometheus' metrics, if the config asks for them."""
    make = request.app.state.metrics
    if make is None:
        raise RefusedError(404, "metrics are off: add prometheus: {} to sinks in the config")
    text, kind = await run_in_threadpool(make)
    return Response(text, media_type=kind)


async def health(request: Request) -> Response:
    """Answer whether counting goes on, to whoever asks: a container's health check, a proxy."""
    hung = request.app.state.service.heartbeat() >= HUNG
    return reply({"status": "counting hangs" if hung else "counting"}, 503 if hung else 200)


async def live(websocket: Any) -> None:
    """Serve readings, events and pictures over a WebSocket."""
    await websocket.app.state.hub.serve(websocket)


async def refused(_: Request, error: Exception) -> Response:
    """Answer with why not, in one line."""
    if isinstance(error, RefusedError):
        return reply({"error": str(error)}, error.status)
    status = 400 if isinstance(error, ConfigError) else 503
    return reply({"error": " ".join(str(error).split())}, status)


def _form(refusal: str) -> str:
    return form("login.html", refusal, STATIC)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _view(request: Request, camera: str) -> CameraView:
    view = _service(request).cameras.get(camera) if CAMERA_ID.fullmatch(camera) else None
    if view is None:
        raise RefusedError(404, "there is no such camera")
    return view


def _history(request: Request) -> History:
    store = _service(request).history
    if store is None:
        raise RefusedError(404, "no history is kept: add history: {path: ...} to the config")
    return store


def _asked(request: Request) -> tuple[History, str, str]:
    """Return the history, the camera and what of it is asked for."""
    camera = request.query_params.get("camera", "")
    _view(request, camera)
    what = request.query_params.get("what", "count")
    if not _WHAT.fullmatch(what):
        raise RefusedError(400, "what: expected count, region:NAME or line:NAME")
    return _history(request), camera, what


def _given_shapes(given: Any) -> dict[str, Any]:
    """Return the shapes of a request in the order that it asks for."""
    shapes = dict(given) if isinstance(given, dict) else {}
    order = shapes.pop("order", {})
    if not shapes or shapes.keys() - {*SHAPES}:
        raise RefusedError(400, f"expected an object with some of {', '.join(sorted(SHAPES))}")
    if (
        not isinstance(order, dict)
        or order.keys() - {*NAMED}
        or not all(map(_is_names, order.values()))
    ):
        raise RefusedError(400, "order: expected lists of names by regions and lines")
    return in_order(shapes, order)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _meant(tags: str, version: str) -> str:
    """Return which version a list of tags means: this one if it is among them."""
    found = [quoted or bare for quoted, bare in _TAG.findall(tags)]
    return version if version in found else found[0]


def _range(request: Request) -> tuple[float, float]:
    end = _number(request, "to", time.time())
    start = _number(request, "from", end - 86400)
    if not 0 <= start < end <= 1e11 or end - start > _LONGEST:
        raise RefusedError(400, "from, to: expected UNIX times in seconds, from before to")
    return start, end


def _number(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RefusedError(400, f"{name}: expected a number")
    return value


ERRORS: tuple[type[Exception], ...] = (RefusedError, EdgeCountError)
