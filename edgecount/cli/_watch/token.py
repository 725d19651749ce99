"""A token for the page, in a file of its own."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from edgecount.errors import OutputError

_BYTES = 32


def write_token(path: Path) -> None:
    """Write a new token to a file that only its owner can read.

    Raises:
        OutputError: there is such a file already, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(_BYTES) + "\n")
        except OSError:
            path.unlink(missing_ok=True)  # a part of a token is none
            raise
    except FileExistsError:
        raise OutputError(
            f"{path} exists: delete it first if its token is to hold no longer"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
