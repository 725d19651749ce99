"""A server that has a folder's files as the objects of a bucket, as Amazon S3 answers for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

DATE = "Sat, 28 Nov 2026 12:00:00 GMT"
STAMP = "2026-11-28T12:00:00.000Z"


class ObjectHandler(BaseHTTPRequestHandler):
    """A handler of requests for objects and lists of them.

    Attributes:
        buckets: the folder whose folders are the buckets.
        denied: keys with this text in them are refused.
    """

    protocol_version = "HTTP/1.1"
    buckets: Path
    denied: str

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        folder = self.buckets / bucket
        if self.denied in key:
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif not key:
            prefix = parse_qs(url.query).get("prefix", [""])[0]
            self.answer(200, list_objects(folder, bucket, prefix))
        elif (folder / key).is_file():
            self.send_object((folder / key).read_bytes())
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def send_object(self, data: bytes) -> None:
        span = self.headers.get("Range")
        if span is None or not data:
            self.answer(200, data)
            return
        first, last = span.removeprefix("bytes=").split("-")
        self.answer(206, data[int(first) : int(last) + 1])

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Last-Modified", DATE)
        self.send_header("ETag", '"0"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve_s3(buckets: Path, *, denied: str) -> Iterator[str]:
    """Serve the folders in a folder as buckets; yields host and port. See `ObjectHandler`."""
    handler = type("Handler", (ObjectHandler,), {"buckets": buckets, "denied": denied})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def list_objects(folder: Path, bucket: str, prefix: str) -> bytes:
    """Return the answer to ListObjectsV2."""
    keys = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    found = [
        f"<Contents><Key>{escape(key)}</Key><LastModified>{STAMP}</LastModified>"
        f"<ETag>0</ETag><Size>{(folder / key).stat().st_size}</Size></Contents>"
        for key in keys
        if key.startswith(prefix)
    ]
    return (
        f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
        f"<KeyCount>{len(found)}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<IsTruncated>false</IsTruncated>{''.join(found)}</ListBucketResult>"
    ).encode()


def open_s3(host: str) -> Any:
    """Return the filesystem of a server."""
    from pyarrow.fs import S3FileSystem

    return S3FileSystem(anonymous=True, endpoint_override=host, scheme="http", region="us-east-1")
