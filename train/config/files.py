"""Configs as files: YAML read key by key, and written back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgecount._documents import load_yaml, shown
from edgecount._typed import build
from edgecount.errors import ConfigError
from edgecount.train.config.extends import read_values
from edgecount.train.config.settings import NamedOptions, TrainConfig

# Keys that each reader takes, beside reader and weight.
_KEYS_OF_CROPS = (
    "holdout",
    "split",
    "folds",
    "fold",
    "scale",
    "scales",
    "native",
    "mirror",
    "window",
)
_KEYS_OF_SETS = (
    *_KEYS_OF_CROPS,
    "path",
    "exclude",
    "only",
    "shrink",
    "enlarge",
    "unannotated",
    "accept_damaged",
    "max_pixels",
)
_KEYS_OF_DRAWN = (*_KEYS_OF_CROPS, "number")
_KEYS_OF: dict[str, tuple[str, ...]] = {
    "blank": (),
    "scenes": _KEYS_OF_DRAWN,
    "patterns": _KEYS_OF_DRAWN,
}


def load_config(path: Path, changes: Iterable[str] = ()) -> TrainConfig:
    """Read and check a config.

    Args:
        path: the YAML file.
        changes: ``key=value``, the value in YAML, with dots into sections (``model.name=hsrnet``,
            ``data.0.weight=2``); they replace what the file says. An empty value (``key=``) takes
            the key away, so that its default holds.

    Raises:
        ConfigError: the file, or one that it extends (:func:`.extends.read_values`), is missing,
            is not YAML, or has an unknown key or a wrong value.
    """
    values, files = read_values(path)
    for change in changes:
        _change(values, change)
    try:
        config = config_from_dict(values)
        _check_keys_of_readers(values["data"])
    except ConfigError as error:
        bases = f" (extends {', '.join(file.stem for file in files[1:])})" if files[1:] else ""
        raise ConfigError(f"{path}{bases}: {error}") from error
    return config


def _check_keys_of_readers(entries: Iterable[Mapping[str, Any]]) -> None:
    """Check that no set has a key that its reader has no use for."""
    for index, entry in enumerate(entries):
        reader = entry["reader"]
        known = ("reader", "weight", *_KEYS_OF.get(reader, _KEYS_OF_SETS))
        for key in entry:
            if key not in known:
                raise ConfigError(
                    f"data[{index}].{key}: unknown key for the reader {reader}; expected one of "
                    f"{', '.join(known)}"
                )


def _change(values: dict[str, Any], change: str) -> None:
    """Apply one ``key=value``."""
    key, separator, text = change.partition("=")
    if not separator or not key:
        raise ConfigError(f"changes: {change}: expected key=value")
    value = load_yaml(text, f"changes: {change}: the value is not YAML", ConfigError)
    *path, last = key.split(".")
    place: Any = values
    for part in path:
        if isinstance(place, dict) and isinstance(place.get(part), str):
            place[part] = {"name": place[part]}  # model: hsrnet, as a section
        place = _enter(place, part, change)
    if isinstance(place, dict) and not text.strip():
        if last not in place and last not in TrainConfig.__dataclass_fields__:
            raise ConfigError(f"changes: {change}: there is no {last!r} to take away")
        place.pop(last, None)
    elif isinstance(place, list):
        _enter(place, last, change)
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise ConfigError(f"changes: {change}: there is no {last!r} to set in {shown(place)}")


def _enter(place: Any, part: str, change: str) -> Any:
    if isinstance(place, dict):
        return place.setdefault(part, {})
    if isinstance(place, list) and part.isdigit() and int(part) < len(place):
        return place[int(part)]
    expected = ""
    if isinstance(place, list) and place:
        expected = f": expected the number of an entry, 0 to {len(place) - 1}"
    raise ConfigError(f"changes: {change}: there is no {part!r} to set anything in{expected}")


# Names of keys in configs and checkpoints of older code.
_RENAMED = {"looks": "photometric", "narrow_from": "prune_from", "rest_norms": "freeze_bn"}


def config_from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """Return a config from plain values; see :func:`load_config`.

    Keys may have the names that older configs and checkpoints give them.
    """
    values = dict(values)
    for old, new in _RENAMED.items():
        if old in values and new in values:
            raise ConfigError(f"{new}: given twice, once as {old}, its older name")
        if old in values:
            values[new] = values.pop(old)
    for key in ("model", "objective"):
        if key in values:
            values[key] = _choice(values[key], key)
    if isinstance(values.get("crop"), int):
        values["crop"] = [values["crop"]] * 2
    if "data" in values and not isinstance(values["data"], list | tuple):
        raise ConfigError("data: expected a list of sets")
    return build(TrainConfig, values)


def _choice(value: Any, key: str) -> NamedOptions:
    if isinstance(value, str):
        return NamedOptions(value)
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return NamedOptions(value["name"], {k: v for k, v in value.items() if k != "name"})
    raise ConfigError(f"{key}: expected a name, or a name with options, got {shown(value)}")


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """Return plain values that :func:`config_from_dict` reads back."""
    values = dataclasses.asdict(config)
    for key in ("model", "objective"):
        values[key] = {"name": values[key]["name"], **values[key]["options"]}
    return {k: _plain(v) for k, v in values.items()}


def _plain(value: Any) -> Any:
    """Turn tuples into lists, all the way down."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
