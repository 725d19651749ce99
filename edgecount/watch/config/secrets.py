"""Secrets: from the environment, or from files of their own."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from edgecount._files import require_regular
from edgecount.errors import ConfigError

_log = logging.getLogger(__name__)

_VARIABLE = re.compile(r"(\$?)\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST = 16 * 1024
# Where systems put secrets, with rights of their own.
_SAFE = ("/run/secrets/", "/run/credentials/", "/var/run/secrets/")


def with_environment(text: str, environment: Mapping[str, str]) -> str:
    """Return a text with ``${NAME}`` replaced from the environment, and ``$${`` by ``${``.

    Raises:
        ConfigError: a variable is not set, or what stands in the braces is no name; the message
            shows no value.
    """

    def replaced(match: re.Match[str]) -> str:
        escape, name = match.groups()
        if escape:
            return match[0][1:]
        if not _NAME.fullmatch(name):
            raise ConfigError("expected the name of an environment variable between ${ and }")
        if name not in environment:
            raise ConfigError(
                f"the environment variable {name} is not set: set it, or write $${{{name}}} for "
                "the text itself"
            )
        return environment[name]

    return _VARIABLE.sub(replaced, text)


def has_variables(text: str) -> bool:
    """Return whether something of a text is taken from the environment."""
    return any(not match[1] for match in _VARIABLE.finditer(text))


def escaped(text: str) -> str:
    """Return a text in which nothing is taken from the environment."""
    return _VARIABLE.sub(lambda match: f"${match[0]}", text)


def read_secret(path: Path) -> str:
    """Return what a file of one line holds, such as a password or a token.

    Raises:
        ConfigError: it cannot be read, is empty, or has several lines; the message shows nothing
            of it.
    """
    require_regular(path, ConfigError)
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1).decode()
            mode = os.fstat(file.fileno()).st_mode
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: expected a text of one line, got other bytes") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise ConfigError(f"{path}: cannot read the secret: {reason}") from None
    secret = text.strip()
    if not secret or not secret.isprintable() or len(text) > _LARGEST:
        raise ConfigError(f"{path}: expected a secret of one line, got {_kind(secret)}")
    if mode & stat.S_IROTH and not str(path).startswith(_SAFE):
        _log.warning("%s can be read by every user of this machine: chmod 600 keeps it", path)
    return secret


def _kind(secret: str) -> str:
    return "more than one line" if secret else "an empty file"
