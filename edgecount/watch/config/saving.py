"""Changes of the config written to its file, which stays as people wrote it otherwise."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from edgecount._files import replacing
from edgecount._text import SURROGATES
from edgecount.errors import ConfigError, OutputError
from edgecount.watch.config.checks import SettingError
from edgecount.watch.config.document import Text, parse, plain
from edgecount.watch.config.editing import edited
from edgecount.watch.config.loading import located, read_settings
from edgecount.watch.config.secrets import escaped, with_environment
from edgecount.watch.config.settings import WatchConfig


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""The value of a key that is to be taken out of the config, so that its default holds."""

_one_at_a_time = threading.Lock()


def save(
    path: str | os.PathLike[str],
    changes: Mapping[Sequence[str], Any],
    *,
    since: WatchConfig | None = None,
) -> WatchConfig:
    """Change values in a config's file; comments, order, ``${NAME}`` and rights of the file stay.

    Names, such as those of regions, are put in the order that the changes have them in, with their
    comments, unless they come from an anchor.
    What somebody has changed in the file meanwhile is kept. The file is replaced whole, or not at
    all.

    Args:
        path: the file.
        changes: new values by the keys that lead to them, such as ``("cameras", "door", "lines")``;
            numbers, texts, lists and dicts of these, None for null, or `ABSENT`. In their texts
            ``${NAME}`` stands for itself.
        since: the config that the changes are made to; a file that is another by now is refused.

    Returns:
        The config as it is now.

    Raises:
        ConfigError: the changes make no sense (a `SettingError` without a line), the file is none
            as it is, or has changed.
        OutputError: the file cannot be written.
    """
    given = Path(path)
    with _one_at_a_time:
        before = Text.read(given)
        if since is not None and before.version != since.version:
            raise ConfigError(
                f"{before.name}: it was changed since it was read: reload it, and try again"
            )
        values = parse(before.text, before.name)
        try:
            read_settings(plain(values))
        except SettingError as error:
            raise located(error, values, before.name) from None
        target = changed(plain(values), changes)
        read_settings(target, path=given)
        data = before.bytes_of(edited(before.text, target, before.name))
        after = Text.of(data, before.name)
        # What is written: its order may be another one than that of the changes.
        written = plain(parse(after.text, before.name))
        config = read_settings(written, path=given, version=after.version)
        if after.version != before.version:
            _replace(given, data, before)
    return config


def restore(path: str | os.PathLike[str], data: bytes, *, since: WatchConfig) -> None:
    """Write the bytes of a config back after changes that did not work out; its rights stay.

    Args:
        path: the file.
        data: what was in it before.
        since: the config that was saved; a file that is another by now is left alone.

    Raises:
        ConfigError: somebody is changing it.
        OutputError: the file cannot be written.
    """
    given = Path(path)
    with _one_at_a_time:
        current = Text.read(given)
        if current.version == since.version:
            _replace(given, data, current)


def changed(values: dict[str, Any], changes: Mapping[Sequence[str], Any]) -> dict[str, Any]:
    """Return plain values with changes made to them.

    Raises:
        SettingError: there is nothing that a key could be set in.
    """
    for keys, value in changes.items():
        if isinstance(keys, str) or not keys:
            raise SettingError((), "expected keys of changes as a tuple", keys)
        place: Any = values
        for depth, key in enumerate(keys[:-1]):
            if value is ABSENT and key not in place:
                break
            if place.get(key) is None:
                place[key] = {}
            place = place[key]
            if not isinstance(place, dict):
                raise SettingError(keys[: depth + 1], "expected keys and values", place)
        else:
            _set(place, keys, value)
    return values


def _set(place: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    if value is ABSENT:
        place.pop(keys[-1], None)
    else:
        place[keys[-1]] = _written(value, place.get(keys[-1]), tuple(keys))


def _written(value: Any, old: Any, keys: tuple[str | int, ...]) -> Any:
    """Return a new value as it is written; a text that the old one stands for, as the old one."""
    if isinstance(value, Mapping):
        known = old if isinstance(old, dict) else {}
        return {
            _text(key, keys): _written(one, known.get(key), (*keys, key))
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        known_items = dict(enumerate(old)) if isinstance(old, list) else {}
        return [
            _written(one, known_items.get(index), (*keys, index)) for index, one in enumerate(value)
        ]
    if isinstance(value, str | Path):
        return _as_before(_text(str(value), keys), old)
    if value is None or type(value) in (bool, int, float):
        return value
    raise SettingError(keys, "expected a number, a text, a list, keys and values, or null")


def _as_before(text: str, old: Any) -> str:
    if isinstance(old, str):
        with suppress(ConfigError):
            if with_environment(old, os.environ) == text:
                return old
    return escaped(text)


def _text(value: Any, keys: tuple[str | int, ...]) -> str:
    if not isinstance(value, str) or SURROGATES.search(value):
        raise SettingError(keys, "expected a text of whole characters")
    return value


def _replace(path: Path, data: bytes, before: Text) -> None:
    """Replace a file by another of the same rights, unless somebody has changed it meanwhile."""
    mode = path.stat()
    if not os.access(path, os.W_OK):
        # The folder may let us, but who made the file did not mean it.
        raise OutputError(f"cannot write {before.name}: it is read-only for this user")
    with replacing(path) as temporary:
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(number, "wb") as file:  # noqa: PTH123 (a descriptor)
            with suppress(OSError):  # only root may give files away
                os.fchown(number, mode.st_uid, mode.st_gid)
            os.fchmod(number, stat.S_IMODE(mode.st_mode))
            file.write(data)
        if hashlib.sha256(path.read_bytes()).hexdigest() != before.version:
            raise ConfigError(f"{before.name}: somebody is changing it: reload it, and try again")
