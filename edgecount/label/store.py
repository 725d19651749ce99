"""Labels of a folder's pictures: read at the start, and written at every change."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edgecount._files import write_whole
from edgecount.errors import ConfigError, OutputError
from edgecount.label.drafts import drafts_of, read_drafts, write_drafts
from edgecount.label.labels import Labels
from edgecount.label.table import read_table, render, write_table

if TYPE_CHECKING:
    from typing_extensions import Self

_NEW = Labels()
_Signature = tuple[int, int, int]


class ConflictError(Exception):
    """The labels of a picture are others than those that a change was made of.

    Args:
        current: the labels as they are.
    """

    def __init__(self, current: Labels) -> None:
        super().__init__("this picture was changed in another window")
        self.current = current


class LabelStore:
    """The labels of pictures, by their paths relative to the CSV's folder.

    The CSV names the pictures that are done or empty; those that are begun are in a file of drafts
    beside it. Where both have a picture the drafts count: they are written first.

    Args:
        table: the CSV; it need not exist.

    Raises:
        SourceError: a file cannot be read.
        ConfigError: the CSV has what would be lost, or another process writes it.
        OutputError: nothing can be written there.
    """

    def __init__(self, table: Path) -> None:
        self.table, self.drafts = table, drafts_of(table)
        self._guard = threading.Lock()
        self._folder_lock = _lock(table.parent)
        try:
            self._check_writable()
            self._done = read_table(table) if table.exists() else {}
            self._open = read_drafts(self.drafts)
            self._needs_copy = table.exists() and table.read_bytes() != render(self._done)
            self._signatures = self._look()
            self._settle()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let other processes write."""
        self.close()

    def close(self) -> None:
        """Let other processes write; everything is written already."""
        with contextlib.suppress(OSError):
            if self._folder_lock >= 0:
                os.close(self._folder_lock)
        self._folder_lock = -1

    def get(self, name: str) -> Labels:
        """Return the labels of a picture; those of an unknown one are new."""
        with self._guard:
            return self._get(name)

    def put(self, name: str, labels: Labels, revision: str) -> Labels:
        """Change the labels of a picture and write them.

        Args:
            name: the picture.
            labels: its new labels.
            revision: that of the labels that were changed.

        Raises:
            ConflictError: the labels are others meanwhile; nothing was changed.
            OutputError: the labels cannot be written; nothing was changed.
        """
        with self._guard:
            before = self._get(name)
            if before.revision == labels.revision:
                return before
            if before.revision != revision:
                raise ConflictError(before)
            self._check_unchanged()
            try:
                self._write(name, before, labels)
            finally:
                self._signatures = self._look()
            return labels

    def names(self) -> list[str]:
        """Return the pictures that are begun, done or empty."""
        with self._guard:
            return sorted({*self._done, *self._open})

    def tally(self) -> Counter[str]:
        """Return how many pictures are open, done and empty, and `heads` of the done ones."""
        with self._guard:
            found = Counter({"open": len(self._open)})
            found.update(labels.state for labels in self._done.values())
            found["heads"] = sum(len(labels.points) for labels in self._done.values())
            return found

    def _get(self, name: str) -> Labels:
        return self._open.get(name) or self._done.get(name) or _NEW

    def _write(self, name: str, before: Labels, after: Labels) -> None:
        """Write a picture's new labels, so that an end at any moment leaves the old or the new."""
        done = {key: value for key, value in self._done.items() if key != name}
        drafts = {key: value for key, value in self._open.items() if key != name}
        if after.is_finished:
            done[name] = after
        elif after.state == "open":
            drafts[name] = after
        if not (before.is_finished or after.is_finished):
            write_drafts(self.drafts, drafts)
        elif before.is_finished and after.is_finished:
            self._write_table(done)
        else:
            # The drafts count where both files have a picture. A new one is no draft, but an
            # end before it has left the CSV leaves what was there before, which is as well.
            if after.state != "new":
                write_drafts(self.drafts, {**drafts, name: after})
            self._write_table(done)
            write_drafts(self.drafts, drafts)
        self._done, self._open = done, drafts

    def _write_table(self, done: dict[str, Labels]) -> None:
        if self._needs_copy:
            # Somebody else's table is written anew in our own form: theirs is kept.
            copy = self.table.with_name(f"{self.table.name}.before-label")
            if not copy.exists():
                write_whole(copy, self.table.read_bytes())
            self._needs_copy = False
        write_table(self.table, done)

    def _settle(self) -> None:
        """Bring both files in step, if the last process was ended between them."""
        late = {name: labels for name, labels in self._open.items() if labels.is_finished}
        again = [name for name in self._open if name in self._done]
        if not late and not again:
            return
        kept = {name: one for name, one in self._done.items() if name not in self._open}
        drafts = {name: one for name, one in self._open.items() if name not in late}
        self._write_table({**kept, **late})
        write_drafts(self.drafts, drafts)
        self._done, self._open = {**kept, **late}, drafts
        self._signatures = self._look()

    def _look(self) -> tuple[_Signature | None, _Signature | None]:
        return _signature(self.table), _signature(self.drafts)

    def _check_unchanged(self) -> None:
        for path, before in zip((self.table, self.drafts), self._signatures, strict=True):
            if _signature(path) != before:
                raise OutputError(
                    f"{path} was changed by another program, and nothing was written over it: end "
                    "edgecount label and start it again to go on from there"
                )

    def _check_writable(self) -> None:
        folder = self.table.parent
        for path in (folder, self.table, self.drafts):
            if path.exists() and not os.access(path, os.W_OK):
                raise OutputError(f"{path} is not writable: choose another file (--out)")


def _signature(path: Path) -> _Signature | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _lock(folder: Path) -> int:
    """Return a descriptor that holds a folder for this process, or -1 where nothing can be held.

    The system keeps the lock and gives it back when the process ends in whatever way.

    Raises:
        ConfigError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return -1
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"cannot write to the folder {folder}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError(
            f"another edgecount label writes to {folder}: use its page, or end it first"
        ) from None
    except OSError:  # a file system without locks: changes are still noticed
        os.close(descriptor)
        return -1
    return descriptor
