"""A lock on a run's folder: two trainings in one would write over each other's files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from edgecount import _lock
from edgecount.errors import OutputError

NAME = ".lock"
TRAINING = "training in"
_TRIES = 10  # for a folder that other runs, which are refused, take away again


def locked(folder: Path, name: str = NAME, doing: str = TRAINING) -> AbstractContextManager[None]:
    """Hold a run's folder until the block ends; see `edgecount._lock.locked`.

    Args:
        folder: a folder that exists.
        name: name of the lock's file.
        doing: what the run does in the folder, for the message of one that is refused.

    Raises:
        OutputError: another run holds it, or nothing can be written to it.
    """
    return _lock.locked(
        folder / name,
        busy=f"is {doing} {folder}: wait for it, end it, or choose another folder",
        second="start no second one in it",
    )


@contextmanager
def run_folder(
    folder: Path, *, drafts: Sequence[str] = (), name: str = NAME, doing: str = TRAINING
) -> Iterator[Callable[[], None]]:
    """Make a run's folder and hold it until the block ends; see `locked`.

    The block is given a function, to be called when the run begins. If the block fails before
    that, nothing stays that was not there before.

    Args:
        folder: the folder; its parents are made, too.
        drafts: names of folders in it that the block makes before the run begins.
        name: name of the lock's file.
        doing: what the run does in the folder, for the message of one that is refused.

    Raises:
        OutputError: another run holds it, or it cannot be made or written to.
    """
    new = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    lock_is_new = not os.path.lexists(folder / name)
    has_begun = False

    def begin() -> None:
        nonlocal has_begun
        has_begun = True

    try:
        with ExitStack() as stack:
            _enter(stack, folder, name, doing)
            # Only now: another run may have made some of them until it ended.
            made = [folder / draft for draft in drafts if not os.path.lexists(folder / draft)]
            try:
                yield begin
            except BaseException as error:
                if not has_begun:
                    # Who ends it by Ctrl-C may start it again, and has the drafts then.
                    for path in made if isinstance(error, Exception) else ():
                        shutil.rmtree(path, ignore_errors=True)
                    if lock_is_new:
                        with suppress(OSError):
                            (folder / name).unlink()  # while it is held: see `edgecount._lock`
                raise
    except BaseException:
        if not has_begun:
            with suppress(OSError):  # those that are not empty stay
                for path in new:
                    path.rmdir()
        raise


def _enter(stack: ExitStack, folder: Path, name: str, doing: str) -> None:
    """Make a folder and lock it, also if it is taken away in between."""
    failure: Exception | None = None
    for _ in range(_TRIES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder, name, doing))
        except OutputError as error:  # noqa: PERF203 (ten tries at most)
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            failure = error.__cause__
        except OSError as error:
            failure = error
            races = isinstance(error, FileNotFoundError | FileExistsError)
            if not races or (os.path.lexists(folder) and not folder.is_dir()):
                break
        else:
            return
    raise OutputError(f"cannot make the folder {folder}: {failure}") from failure
