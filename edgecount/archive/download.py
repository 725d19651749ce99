"""Images from addresses: http:// and https://."""

from __future__ import annotations

import base64
import re
import string
import time
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from edgecount.errors import SourceError
from edgecount.runtime.sources.urls import stream_name

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_READ = ("http://", "https://")
_PATIENCE = 20.0  # s without a byte
_LONGEST = 120.0  # s of a whole download
_LARGEST = 1 << 28  # bytes
_CHUNK = 1 << 18


def is_address(text: str) -> bool:
    """Return whether a text is an address and no path."""
    return bool(_SCHEME.match(text))


def download(address: str) -> bytes:
    """Return what an address gives.

    Raises:
        SourceError: it is none of http or https, or nothing came, too much or too slowly.
    """
    shown = stream_name(address)
    if not address.lower().startswith(_READ):
        raise SourceError(
            f"{shown}: expected a path or an address of http or https; edgecount.ray reads object "
            "stores"
        )
    try:
        # The scheme was checked; redirects lead to http, https and ftp alone.
        with urllib.request.urlopen(_request(address), timeout=_PATIENCE) as response:  # noqa: S310
            return _read(shown, response)
    except SourceError:
        raise
    except HTTPError as error:
        error.close()
        raise SourceError(f"cannot read {shown}: status {error.code} {error.reason}") from None
    except URLError as error:
        raise SourceError(f"cannot read {shown}: {_reason(error.reason)}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise SourceError(f"cannot read {shown}: {_reason(error)}") from None


def _request(address: str) -> urllib.request.Request:
    """Return the request of an address, whose user and password go into a header."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    # Names with spaces and umlauts, as browsers take them; what is quoted already stays.
    path, query = (quote(part, safe=string.punctuation) for part in (parts.path, parts.query))
    url = urlunsplit((parts.scheme, host, path, query, ""))
    request = urllib.request.Request(url)  # noqa: S310 (checked by the caller)
    if user:
        # Not redirected: another host must not learn it.
        code = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {code}")
    return request


def _read(shown: str, response: Any) -> bytes:
    data, until = bytearray(), time.monotonic() + _LONGEST
    length: int | None = getattr(response, "length", None)  # None: the server does not say
    # Not `read`, which waits for all that it was asked for, however slowly it comes.
    while (length is None or len(data) < length) and (chunk := response.read1(_CHUNK)):
        data += chunk
        if len(data) > _LARGEST:
            raise SourceError(f"{shown} is too large: expected at most {_LARGEST >> 20} MiB")
        if time.monotonic() > until:
            raise SourceError(f"cannot read {shown}: it took longer than {_LONGEST:g} s")
    if length is not None and len(data) < length:
        raise SourceError(f"cannot read {shown}: it ended after {len(data)} of {length} bytes")
    if not data:
        raise SourceError(f"{shown} is empty (0 bytes)")
    return bytes(data)


def _reason(error: object) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
