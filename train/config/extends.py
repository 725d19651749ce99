"""Configs that build on another one: ``extends``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgecount._documents import load_yaml, shown
from edgecount.errors import ConfigError

FOLDER = Path(__file__).parent.parent / "configs"
# A name alone stands for a section with that name.
_NAMED = ("model", "objective")


def find_config(path: Path) -> Path:
    """Return ``path`` itself, or the config of that name that comes with edgecount.

    Raises:
        ConfigError: there is neither.
    """
    if path.is_file():
        return path
    named = bundled_configs()
    if str(path) not in named:
        raise ConfigError(
            f"there is no config {path}: {_meant(str(path), named)}expected a YAML file, or a name "
            "that `edgecount train --list` shows"
        )
    return named[str(path)]


def bundled_configs() -> dict[str, Path]:
    """Return the configs that come with edgecount by name, sorted."""
    return {path.stem: path for path in sorted(FOLDER.rglob("*.yaml"), key=lambda p: p.stem)}


def read_values(path: Path) -> tuple[dict[str, Any], list[Path]]:
    """Read a config's keys and values, with those of the configs that it extends.

    ``extends`` names a config that comes with edgecount, or a ``.yaml`` file relative to the one
    that says so. What a file says stands over what it extends: sections (``model``,
    ``objective``, ``photometric``, ``teacher``) key by key, unless it names another network or
    objective; all else, lists too, as a whole. A key without a value takes the other's away.

    Returns:
        The values, and the files that they are from, ``path`` first.

    Raises:
        ConfigError: a file is missing, is not YAML, or extends itself.
    """
    files, layers = [path], [_read_file(path)]
    while "extends" in layers[-1]:
        base = _base_of(files[-1], layers[-1].pop("extends"))
        if base.resolve() in (file.resolve() for file in files):
            names = " extends ".join(file.name for file in (*files, base))
            raise ConfigError(f"{files[-1]}: extends: expected no circle, got {names}")
        files.append(base)
        layers.append(_read_file(base))
    values = layers.pop()
    for file, layer in zip(reversed(files[:-1]), reversed(layers), strict=True):
        values = merge(values, layer, f"{file}: ")
    return values, files


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the config: {error}") from error
    values = load_yaml(text, f"{path}: cannot read the config", ConfigError)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(values).__name__}")
    return values


def _base_of(path: Path, name: Any) -> Path:
    if not isinstance(name, str) or not name:
        raise ConfigError(
            f"{path}: extends: expected the name of a config or a .yaml file, got {shown(name)}"
        )
    if not name.endswith((".yaml", ".yml")):
        named = bundled_configs()
        if name not in named:
            raise ConfigError(
                f"{path}: extends: there is no config {name}: {_meant(name, named)}expected a name "
                "that `edgecount train --list` shows, or a .yaml file relative to this one"
            )
        return named[name]
    base = path.parent / name
    if not base.is_file():
        raise ConfigError(f"{path}: extends: there is no file {base}")
    return base


def _meant(name: str, names: Iterable[str]) -> str:
    """Return a hint at the nearest name, or nothing where none is near."""
    close = difflib.get_close_matches(name.lower(), names, n=1)
    return f"did you mean {close[0]}? " if close else ""


def merge(base: Mapping[str, Any], over: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """Return the values of a config that extends another; see :func:`read_values`.

    Args:
        base: values of the config that is extended.
        over: values of the one that extends it.
        within: start of errors, the file and maybe a section with a dot.

    Raises:
        ConfigError: a key without a value is not in the base.
    """
    merged = dict(base)
    for key, given in over.items():
        if given is None:
            if key not in merged:
                raise ConfigError(f"{within}{key}: no value, and nothing to take away")
            del merged[key]
            continue
        below = merged.get(key)
        named = key in _NAMED
        pair = (_section(below), _section(given)) if named else (below, given)
        merged[key] = _stacked(*pair, f"{within}{key}.")
    return merged


def _stacked(below: Any, over: Any, within: str) -> Any:
    """Return one value over another: merged where both are sections of the same name."""
    sections = isinstance(below, dict) and isinstance(over, dict)
    same = sections and over.get("name", below.get("name")) == below.get("name")
    return merge(below, over, within) if same else over


def _section(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value
