"""Proofs that a faster precision counts as an exact one does, kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgecount._documents import load_json
from edgecount._files import write_whole
from edgecount._typed import Reader
from edgecount.errors import ModelError, OutputError
from edgecount.runtime.backends.kept import user_cache

if TYPE_CHECKING:
    from edgecount.manifest import Manifest
    from edgecount.runtime.backends.base import Backend

_READER = Reader(error=ModelError, document="the proof", optional=())
_MOST = 65536  # bytes of a file

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proof:
    """The outcome of a comparison of counts.

    Attributes:
        file: the model file's name.
        backend: the engine's name.
        precision: the kind of numbers that was tried.
        key: all that the outcome depends on: hash of the file, versions, device.
        passed: whether the counts are near enough.
        found: how near they are, in words.
    """

    file: str
    backend: str
    precision: str
    key: dict[str, Any]
    passed: bool
    found: str


Prove: TypeAlias = "Callable[[Backend, Backend, Manifest, float], tuple[bool, str]]"
"""(exact engine, faster one, manifest, gate as a share of the mean count) to whether its counts
are near enough, and how near they are in words; see `edgecount._proof.prove`."""


def find_proof(key: dict[str, str]) -> Proof | None:
    """Return the proof for a key; None: there is none, or its file is damaged."""
    path = _path(key)
    proof = None if path is None else _read(path)
    return proof if proof is not None and proof.key == key else None


def keep_proof(proof: Proof) -> None:
    """Write a proof for the next process; where that fails, the next one proves again."""
    path = _path(proof.key)
    if path is None:
        _log.warning("the proof of %s is not kept: this user has no home", proof.precision)
        return
    try:
        write_whole(path, (json.dumps(asdict(proof), indent=1) + "\n").encode())
    except OutputError as error:
        _log.warning("the proof of %s is not kept for the next process: %s", proof.precision, error)


def list_proofs() -> list[Proof]:
    """Return the proofs that this user holds, by file and precision."""
    folder = _folder()
    paths = folder.glob("*.json") if folder is not None and folder.is_dir() else ()
    proofs = [proof for proof in map(_read, paths) if proof is not None]
    return sorted(proofs, key=lambda proof: (proof.file, proof.precision, proof.backend))


def _read(path: Path) -> Proof | None:
    try:
        if not path.is_file() or path.stat().st_size > _MOST:
            return None
        data = load_json(path.read_text(encoding="utf-8"), "not JSON", ModelError)
        return _READER.build(Proof, data)
    except (OSError, UnicodeDecodeError, ModelError):
        return None


def _path(key: dict[str, str]) -> Path | None:
    folder = _folder()
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return None if folder is None else folder / f"{digest}.json"


def _folder() -> Path | None:
    cache = user_cache()
    return None if cache is None else cache / "proofs"
