"""Compiled models on the disk, for the next process.

Compiling takes a third of a second for float32 and a second for INT8, loading what was compiled a
tenth of one. Files lie beside the model in a folder that `edgecount export` wrote, else in the
user's cache. Whatever is wrong with one costs time, and never a count.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from edgecount.errors import EdgeCountError
from edgecount.runtime.backends.kept import KeptFiles, prune, user_cache, write_first
from edgecount.runtime.backends.openvino import library
from edgecount.runtime.models.choose import REPORT
from edgecount.runtime.models.engines import file_sha256
from edgecount.runtime.models.onnx_facts import read_onnx_facts

Shape: TypeAlias = "tuple[int, ...] | None"
"""Shape of the image tensor (B, 3, H, W) that a model is compiled for; None: any."""

FOLDER = "openvino-cache"  # beside a model
SUFFIX = ".blob"
_MAGIC = b"edgecount openvino cache 1\n"
_MOST = 256 * 2**20  # bytes in a folder: about forty models of float32

_log = logging.getLogger(__name__)


class CompiledCache:
    """The compiled forms of one model file on one device, in one precision.

    Args:
        path: the model's file.
        key: all that they depend on; see `cache_key`.
    """

    def __init__(self, path: Path, key: dict[str, str]) -> None:
        self._stem, self._key = path.stem, key
        beside = path.parent / FOLDER
        exported = (path.parent / REPORT).is_file() and os.access(path.parent, os.W_OK)
        own = user_cache()
        self._folders = [beside] if exported else []
        self._folders += [own / "openvino"] if own else []
        self._logged = False

    def holds(self, shape: Shape) -> bool:
        """Return whether there is a file for a shape, whole or not."""
        return any(path.is_file() for path in self._places(shape))

    def load(self, shape: Shape) -> bytes | None:
        """Return what was compiled for a shape; None: nothing was, or it is of no use."""
        files = self._files(shape)
        for path in self._places(shape):
            content = files.read(path)
            if content is not None:
                with suppress(OSError):  # the files that are used are the last to be deleted
                    os.utime(path)
                return content
        return None

    def save(self, shape: Shape, content: bytes) -> None:
        """Write what was compiled for a shape, and delete the oldest files that are too much."""
        problem = write_first(self._places(shape), self._files(shape).packed(content))
        if problem is None:
            for folder in self._folders:
                prune(folder, f"*{SUFFIX}", _MOST)
        elif not self._logged:
            self._logged = True
            _log.info("compiled models are not kept for the next process: %s", problem)

    def _places(self, shape: Shape) -> list[Path]:
        digest = hashlib.sha256(json.dumps(self._key, sort_keys=True).encode()).hexdigest()[:16]
        name = f"{self._stem}-{_text(shape)}-{digest}{SUFFIX}"
        return [folder / name for folder in self._folders]

    def _files(self, shape: Shape) -> KeptFiles:
        return KeptFiles(_MAGIC, self._key | {"shape": _text(shape)}, _log)


def cache_key(path: Path, device: str, precision: str) -> dict[str, str] | None:
    """Return all that a compiled model and its counts depend on; None: the file cannot be read.

    Args:
        path: the model's file.
        device: OpenVINO's name of the device.
        precision: kind of numbers that are computed in.
    """
    try:
        files = [path, *(path.parent / name for name in read_onnx_facts(path).beside)]
        digests = [file_sha256(file) for file in files]
    except EdgeCountError:  # whoever loads it says what is wrong
        return None
    return {
        "model": hashlib.sha256("".join(digests).encode()).hexdigest(),
        "openvino": library.load_openvino().get_version(),
        "device": f"{device}: {library.full_name(device)}",
        "capabilities": " ".join(sorted(library.capabilities(device))),
        "precision": precision,
    }


def _text(shape: Shape) -> str:
    return "any" if shape is None else "x".join(map(str, shape))
