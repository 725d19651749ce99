"""A config file with the options of the command line."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount.errors import MissingExtraError, OutputError

if TYPE_CHECKING:
    from edgecount.watch.config import WatchConfig

_OF_PROGRAMS = ("path", "version")  # attributes of the whole config that are no keys


def write_config(config: WatchConfig, path: Path) -> None:
    """Write a config to a new file that only its owner can read: it may contain passwords.

    Raises:
        OutputError: there is such a file already, or it cannot be written.
        MissingExtraError: ruamel.yaml is not installed.
    """
    try:
        from ruamel.yaml import YAML
    except ImportError as error:
        raise MissingExtraError("ruamel.yaml", "watch", "to write configs") from error
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # a polygon on a line
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 200
    text = io.StringIO()
    given = _plain(config)
    yaml.dump({key: given[key] for key in given if key not in _OF_PROGRAMS}, text)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text.getvalue())
    except FileExistsError:
        raise OutputError(f"{path} exists: choose another --write-config") from None
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _plain(value: Any) -> Any:
    """Return a value in plain types; sections without the keys that have their defaults."""
    from edgecount.watch.config.secrets import escaped

    if dataclasses.is_dataclass(value):
        return {
            field.name: _plain(found)
            for field in dataclasses.fields(value)
            if (found := getattr(value, field.name)) != _default(field)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return escaped(str(value)) if isinstance(value, str | Path) else value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
