"""JSON of requests and answers, and refusals in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class RefusedError(Exception):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        text: one line for people.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def encode(message: Mapping[str, Any]) -> str:
    """Return a message as one line of JSON; what is no finite number is null."""
    try:
        return json.dumps(message, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(message), separators=(",", ":"))


def reply(body: Any, status: int = 200) -> Response:
    """Return an answer as one line of JSON."""
    return Response(encode(body) + "\n", status, media_type="application/json")


async def read_json(request: Request) -> Any:
    """Return the JSON of a request's body.

    Raises:
        RefusedError: it is none, or is not said to be.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, "expected application/json")
    try:
        return json.loads(await request.body(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RefusedError(400, "expected JSON") from None


async def http_error(_: Request, error: Exception) -> Response:
    """Answer to what has no route."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = {404: "there is no such page", 405: "this method is not taken"}.get(status, "refused")
    return reply({"error": text}, status)


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
