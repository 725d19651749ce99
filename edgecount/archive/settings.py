"""The settings that a folder of results was begun with: no others are mixed into it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgecount._documents import load_json
from edgecount._files import replacing
from edgecount._text import valid_text
from edgecount.errors import ConfigError, OutputError
from edgecount.regions import Region
from edgecount.runtime.models.engines import file_sha256
from edgecount.runtime.models.open import open_model

Settings = dict[str, Any]
_FACTS = ("source", "shards", "model_sha256")  # all others are options
_LONGEST = 200  # characters of a value in a message


def claim(path: Path, settings: Mapping[str, Any], *, open_to: Mapping[str, Any]) -> Settings:
    """Return what a folder of results was begun with, which from now on is this if it is new.

    Args:
        path: the file of the settings; its folder exists.
        settings: what must be the same in all runs; plain JSON types.
        open_to: further settings, of which those of the folder are taken if it has been begun.

    Raises:
        ConfigError: the folder was begun with other settings; the message names the first.
        OutputError: the file cannot be read or written.
    """
    stored = _load(path)
    if stored is None:
        with replacing(path, keep=True) as temporary:  # another process may be the first
            text = json.dumps({**settings, **open_to}, indent=2)
            temporary.write_text(f"{text}\n", encoding="utf-8")
        stored = _load(path)
    if stored is None:
        raise OutputError(f"cannot read {path}, which was just written")
    for name in dict.fromkeys([*settings, *stored]):
        before, now = stored.get(name), settings.get(name)
        if name not in open_to and before != now:
            option = name if name in _FACTS else f"`{name}`"
            raise ConfigError(
                f"the table in {path.parent.parent} was begun with {option} {_shown(before)}, got "
                f"{_shown(now)}: give what it was begun with, or another folder"
            )
    return stored


def _load(path: Path) -> Settings | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise OutputError(f"{path} is not UTF-8: expected settings as JSON") from None
    found = load_json(text, f"{path} is not JSON", OutputError)
    if not isinstance(found, dict):
        raise OutputError(f"{path}: expected an object of settings")
    return found


def _shown(value: object) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def describe_model(model: str | os.PathLike[str]) -> Settings:
    """Return what tells a model from another one, whichever engine runs it.

    Of a folder that `edgecount export` wrote it is the float32 model, so that machines may run
    files of other precisions; of a TensorRT engine the file that it was built from.

    Raises:
        ModelError: there is no such model.
    """
    found = open_model(model)
    digest = None if found.path is None else file_sha256(found.path)
    if found.sidecar is not None:
        digest = found.sidecar.onnx_sha256
    return {
        "model": f"{found.manifest.name} {found.manifest.version}",
        "model_sha256": digest,
    }


def describe_regions(regions: Iterable[Region]) -> list[Settings]:
    """Return what regions are, as plain JSON types."""
    return [
        {
            "name": valid_text(region.name),
            "polygon": region.polygon.tolist(),
            "fractions": region.fractions,
            "excluded": [polygon.tolist() for polygon in region.excluded],
        }
        for region in regions
    ]
