"""Images in object stores, which pyarrow reads as Ray's own readers do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgecount.errors import SourceError
from edgecount.runtime.frames.stills.formats import HEAD, is_image
from edgecount.runtime.sources.suffixes import is_image_name
from edgecount.runtime.sources.urls import is_azure, shown_url

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)/?(.*)", re.IGNORECASE | re.DOTALL)
_BY_HTTP = ("http", "https")
_OF_HOSTS = ("hdfs", "viewfs")  # whose URLs begin with a host, which is no part of a path
_FIRST = 1 << 20  # bytes of the first request: all of most images, and little of a video


def in_store(path: str) -> bool:
    """Return whether a path is the URL of a file in an object store, such as s3://bucket/key."""
    url = _URL.match(path)
    return url is not None and url[1].lower() not in _BY_HTTP


class Stores:
    """Object stores by the URLs of their files.

    Args:
        filesystem: where all files lie, for stores that need more than a URL says, such as an
            endpoint or credentials; None: the store that each URL names.
    """

    def __init__(self, filesystem: FileSystem | None = None) -> None:
        self._filesystem = filesystem
        self._opened: dict[str, tuple[FileSystem, str]] = {}

    def hold(self, path: str) -> bool:
        """Return whether a file lies in a store, and not on a disk."""
        return self._filesystem is not None or in_store(path)

    def read(self, path: str) -> bytes:
        """Return the content of a file; several threads may read at once.

        Raises:
            SourceError: it is missing, unreadable or no image.
        """
        with _as_source_error(path):
            filesystem, place = self._locate(path)
            with filesystem.open_input_stream(place, compression=None) as file:
                data = _content(file)
        if not data:
            raise SourceError(f"{shown_url(path)} is empty (0 bytes)")
        if not is_image(data[:HEAD]):
            raise SourceError(f"{shown_url(path)} is not an image that can be decoded")
        return data

    def names(self, folder: str) -> Iterator[str]:
        """Yield the URLs of the images in a folder and in those in it, sorted.

        Hidden files and those in hidden folders are left out. A URL of one file is yielded itself.

        Raises:
            SourceError: the folder is not there, cannot be listed or holds no image.
        """
        from pyarrow.fs import FileSelector, FileType

        with _as_source_error(folder):
            filesystem, place = self._locate(folder)
            kind = filesystem.get_file_info(place).type
            whole = FileSelector(place, recursive=True)
            found = filesystem.get_file_info(whole) if kind == FileType.Directory else []
            inside = sorted(_relative(one.path, place) for one in found if one.is_file)
        if kind == FileType.NotFound:
            raise SourceError(f"no such file or folder: {shown_url(folder)}")
        if kind == FileType.File:
            yield folder
            return
        base = folder.rstrip("/")
        names = [f"{base}/{path}" for path in inside if _is_shown_image(path)]
        if not names:
            raise SourceError(f"{shown_url(folder)} and the folders in it hold no image")
        yield from names

    def check(self, folder: str) -> None:
        """Check that a folder is still there.

        Raises:
            SourceError: it is not, or its store does not answer.
        """
        from pyarrow.fs import FileType

        with _as_source_error(folder):
            filesystem, place = self._locate(folder)
            kind = filesystem.get_file_info(place).type
        if kind != FileType.Directory:
            raise SourceError(f"the folder {shown_url(folder)} went away")

    def _locate(self, path: str) -> tuple[FileSystem, str]:
        """Return a file's store, and its path in there."""
        url = _URL.match(path)
        if self._filesystem is not None:
            return self._filesystem, path if url is None else _place(*url.groups())
        if url is None:
            raise SourceError(f"expected a URL such as s3://bucket/key, got {path}")
        # Not the whole URL: in that pyarrow takes ? and % of a file's name for its own.
        store = f"{url[1]}://{url[2]}/"
        if store not in self._opened:
            from pyarrow.fs import FileSystem

            self._opened[store] = FileSystem.from_uri(store)  # asks S3 for the bucket's region
        filesystem, root = self._opened[store]
        return filesystem, f"{root.rstrip('/')}/{url[3]}".rstrip("/")


def _place(scheme: str, authority: str, key: str) -> str:
    """Return the path that a file of a URL has in its store."""
    if not authority or scheme.lower() in _OF_HOSTS:  # file:///folder, hdfs://host:port/folder
        return f"/{key.rstrip('/')}"
    # Azure's are abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/key.
    container = authority.partition("@")[0] if is_azure(scheme) else authority
    return f"{container}/{key}".rstrip("/")


def _content(file: Any) -> bytes:
    """Return the content of an open file, or the beginning of one that is no image."""
    data = bytearray()
    while part := file.read(_FIRST):  # which may give less than there is
        data += part
        if len(data) >= HEAD and not is_image(bytes(data[:HEAD])):
            break
    return bytes(data)


def _relative(path: str, folder: str) -> str:
    return path.removeprefix(folder).lstrip("/")


def _is_shown_image(path: str) -> bool:
    hidden = any(part.startswith(".") for part in path.split("/"))
    return not hidden and is_image_name(path)


@contextmanager
def _as_source_error(path: str) -> Iterator[None]:
    """Turn what pyarrow raises in a block into one clear line."""
    shown = shown_url(path)
    try:
        yield
    except FileNotFoundError:
        raise SourceError(f"no such file: {shown}") from None
    except PermissionError:
        raise SourceError(f"no permission to read {shown}") from None
    except (OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(
            f"cannot read {shown}: {' '.join(shown_url(str(error)).split())}"
        ) from None
