"""The config read from its file and checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecount.errors import ConfigError
from edgecount.watch.config.certificates import ssl_context
from edgecount.watch.config.checks import SettingError
from edgecount.watch.config.document import Text, line_of, parse, plain
from edgecount.watch.config.secrets import has_variables, read_secret
from edgecount.watch.config.settings import WatchConfig
from edgecount.watch.config.typed import Settings


def load(path: str | os.PathLike[str]) -> WatchConfig:
    """Read and check a config.

    ``${NAME}`` in a text is taken from the environment; files that hold secrets are looked at.

    Raises:
        ConfigError: it cannot be read, is no YAML, or has an unknown key or a value that makes no
            sense: ``FILE:LINE: KEY: expected ..., got ...``. No message holds a secret.
        MissingExtraError: ruamel.yaml is not installed.
    """
    given = Path(path)
    text = Text.read(given)
    values = parse(text.text, text.name)
    try:
        return read_settings(plain(values), path=given, version=text.version)
    except SettingError as error:
        raise located(error, values, text.name) from None


def read_settings(
    values: Any, environment: Mapping[str, str] | None = None, **more: Any
) -> WatchConfig:
    """Return the settings of plain values; errors name the key, and show what was written."""
    try:
        reader = Settings(os.environ if environment is None else environment)
        config = reader.section(WatchConfig, {} if values is None else values, **more)
        _check_secrets(config)
    except SettingError as error:
        raise as_written(error, values) from None
    return config


def as_written(error: SettingError, values: Any) -> SettingError:
    """Return an error that shows a text as it was written, not what the environment made of it."""
    value = values
    try:
        for key in error.keys:
            value = value[key]
    except (KeyError, IndexError, TypeError):
        return error
    if error.got and isinstance(value, str) and has_variables(value):
        return SettingError(error.keys, error.expected, value)
    return error


def located(error: SettingError, values: Any, name: str) -> SettingError:
    """Return an error with the line of its key."""
    return error.at(f"{name}:{line_of(values, error.keys)}")


def _check_secrets(config: WatchConfig) -> None:
    """Refuse files of secrets that cannot be read, at once and not when they are needed."""
    serve, mqtt, webhook = config.serve, config.sinks.mqtt, config.sinks.webhook
    files = (
        (("serve", "token_file"), serve),
        (("serve", "viewer_token_file"), serve),
        (("sinks", "mqtt", "password_file"), mqtt),
        (("sinks", "webhook", "secret_file"), webhook),
    )
    for keys, section in files:
        path = getattr(section, keys[-1], None)  # neither section nor file need be there
        if path is not None:
            _check_secret(keys, path)
    for name, sink in (("mqtt", mqtt), ("webhook", webhook)):
        if sink is not None and sink.ca_file is not None:
            _check_authority(("sinks", name, "ca_file"), sink.ca_file)


def _check_authority(keys: Sequence[str], path: Path) -> None:
    try:
        ssl_context(path)
    except ConfigError as error:
        raise SettingError(keys, str(error).removeprefix("ca_file ")) from None


def _check_secret(keys: Sequence[str], path: Path) -> None:
    try:
        read_secret(path)
    except ConfigError as error:
        raise SettingError(keys, str(error)) from None
