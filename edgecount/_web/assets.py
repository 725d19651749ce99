"""A page's own files, read once: no path of a request ever reaches the disk."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page.

    Attributes:
        content: its bytes.
        packed: the same, by gzip.
        kind: its media type.
        tag: its ETag.
    """

    content: bytes
    packed: bytes
    kind: str
    tag: str


SHARED = Path(__file__).parent / "static"
"""Folder of the files that both pages have."""


@cache
def assets(folder: Path) -> dict[str, Asset]:
    """Return the files of a folder by their path in it, with slashes."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES)
    return {path.relative_to(folder).as_posix(): _read(path) for path in found}


def form(name: str, refusal: str, folder: Path) -> str:
    """Return a form that asks for a token, with the reason why the last one was refused."""
    return assets(folder)[name].content.decode().replace("<!-- refusal -->", refusal)


def serve(request: Request, name: str, folder: Path) -> Response | None:
    """Return the answer with a file of a page's folder, or of both pages; None: there is none."""
    asset = assets(folder).get(name) or assets(SHARED).get(name)
    if asset is None:
        return None
    headers = {"ETag": asset.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    content = asset.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = asset.packed, "gzip"
    return Response(content, headers=headers, media_type=asset.kind)


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:16]
    return Asset(content, gzip.compress(content, mtime=0), _TYPES[path.suffix], f'"{tag}"')
