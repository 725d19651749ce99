"""Compiled models on the disk: what is wrong with one costs time, and never a count."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgecount.errors import ModelError
from edgecount.runtime.backends import kept
from edgecount.runtime.backends.kept import KeptFiles, prune
from edgecount.runtime.models.open import open_model

pytest.importorskip("openvino", reason="openvino is not installed")

from edgecount.runtime.backends.openvino import library
from edgecount.runtime.backends.openvino.backend import OpenVinoBackend
from edgecount.runtime.backends.openvino.cache import cache_key

IMAGE = np.random.default_rng(0).uniform(0, 1, (1, 3, 64, 96)).astype(np.float32)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgecount" / "openvino"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that grows with every model that is compiled, and not loaded."""
    found: list[object] = []
    compile_model = OpenVinoBackend._compile

    def note(self: OpenVinoBackend, shape: tuple[int, ...] | None) -> object:
        found.append(shape)
        return compile_model(self, shape)

    monkeypatch.setattr(OpenVinoBackend, "_compile", note)
    return found


def maps(path: Path, precision: str = "float32") -> list[np.ndarray]:
    with OpenVinoBackend(open_model(path), precision=precision) as backend:
        return list(backend.infer({"image": IMAGE}).values())


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_next_process_loads_what_was_compiled(
    cache: Path, compiled: list[object], tiny_model: Path
) -> None:
    first = maps(tiny_model)
    (file,) = cache.iterdir()
    assert file.name.startswith("tiny-any-")
    assert same(maps(tiny_model), first)
    assert compiled == [None]


def test_an_export_keeps_it_beside_the_model(
    cache: Path, compiled: list[object], tiny_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "export" / "model.onnx"
    model.parent.mkdir()
    shutil.copy(tiny_model, model)
    maps(model)
    assert len(list(cache.iterdir())) == 1  # no folder of an export yet
    (model.parent / "report.json").write_text("{}")
    maps(model)
    maps(model)
    assert compiled == [None]  # found in the other place
    model.write_bytes(model.read_bytes().replace(b"Counts", b"counts"))  # in the manifest
    maps(model)
    assert len(list((model.parent / "openvino-cache").iterdir())) == 1
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "bit", "text", "key", "swapped"])
def test_a_damaged_or_foreign_file_is_made_anew(
    cache: Path,
    compiled: list[object],
    make_model: Callable[..., Path],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = make_model()
    first = maps(path)
    (file,) = cache.iterdir()
    data = bytearray(file.read_bytes())
    if damage == "swapped":
        maps(make_model(unit=100.0))
        (other,) = (one for one in cache.iterdir() if one != file)
        data = bytearray(other.read_bytes())
        compiled.clear()
        compiled.append(None)
    elif damage == "key":
        head, about, rest = bytes(data).split(b"\n", 2)
        changed = json.loads(about) | {"device": "CPU: another"}
        data = bytearray(b"\n".join((head, json.dumps(changed, sort_keys=True).encode(), rest)))
    elif damage == "bit":
        data[-100] ^= 1
    else:
        data = {"empty": bytearray(), "cut": data[:-7], "text": bytearray(b"hello")}[damage]
    file.write_bytes(bytes(data))
    with caplog.at_level(logging.INFO):
        assert same(maps(path), first)
    assert "is not used: it " in caplog.text
    assert compiled == [None, None]
    assert same(maps(path), first)
    assert compiled == [None, None]


def test_a_file_that_was_replaced_meanwhile_is_not_compiled(
    cache: Path, compiled: list[object], make_model: Callable[..., Path]
) -> None:
    """Its counts would be those of another model, and kept as this one's for ever."""
    path = make_model()
    first = maps(path)
    kept = path.read_bytes()
    with OpenVinoBackend(open_model(path)) as backend:
        make_model(unit=100.0).replace(path)
        with pytest.raises(ModelError, match="was replaced since it was opened"):
            backend._make(IMAGE.shape)
        with pytest.raises(ModelError, match="was replaced since it was opened"):
            backend.for_lanes(2) if backend.lanes > 1 else backend._read()
        assert same(list(backend.infer({"image": IMAGE}).values()), first)
    assert len(list(cache.iterdir())) == 1
    path.write_bytes(kept)
    assert same(maps(path), first)


def test_what_openvino_refuses_is_made_anew(
    cache: Path, compiled: list[object], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = maps(tiny_model)
    (file,) = cache.iterdir()
    head, about, whole = file.read_bytes().split(b"\n", 2)
    own = {name: value for name, value in json.loads(about).items() if name != "sha256"}
    files = KeptFiles(head + b"\n", own, logging.getLogger())
    assert files.read(file) == whole
    for content in (b"", b"not a model", whole[:2000]):
        file.write_bytes(files.packed(content))
        assert same(maps(tiny_model), first)
    assert compiled == [None] * 4


def test_without_a_place_to_write_counting_goes_on(
    tmp_path: Path,
    compiled: list[object],
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.INFO):
        maps(tiny_model)
    assert "compiled models are not kept for the next process: cannot write" in caplog.text
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert kept.user_cache() is None
    maps(tiny_model)
    assert compiled == [None, None]


def test_the_key_is_of_all_that_counts_depend_on(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = cache_key(tiny_model, "CPU", "float32")
    assert key is not None
    assert key != cache_key(tiny_model, "CPU", "bfloat16")
    monkeypatch.setattr(library, "capabilities", lambda _: frozenset({"FP32", "BF16"}))
    assert key != cache_key(tiny_model, "CPU", "float32")
    assert cache_key(tiny_model.with_name("none.onnx"), "CPU", "float32") is None


def test_the_oldest_files_go_first(tmp_path: Path) -> None:
    for number in range(5):
        path = tmp_path / f"{number}.blob"
        path.write_bytes(bytes(10))
        os.utime(path, (number, number))
    (tmp_path / "other").write_bytes(bytes(1000))
    prune(tmp_path, "*.blob", 30)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("2.blob", "3.blob", "4.blob", "other")
    ]
    prune(tmp_path / "missing", "*.blob", 30)


def test_the_folder_is_bounded(
    cache: Path, make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    maps(make_model())
    size = sum(path.stat().st_size for path in cache.iterdir())
    monkeypatch.setattr("edgecount.runtime.backends.openvino.cache._MOST", 3 * size)
    for unit in range(2, 8):
        maps(make_model(unit=float(unit)))
    assert 2 <= len(list(cache.iterdir())) <= 3


def test_a_relative_folder_for_caches_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "cache", "./x"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert kept.user_cache() == tmp_path / ".cache" / "edgecount"


class Unkept:
    """A compiled model of a device that cannot export it."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)

    def export_model(self, _file: object) -> None:
        raise RuntimeError("Check 'exportable' failed at plugin.cpp:1:\nnot implemented")


def test_what_cannot_be_exported_counts(
    cache: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = maps(tiny_model)
    shutil.rmtree(cache)
    core = library.core()
    compile_model = core.compile_model
    stand_in = SimpleNamespace(
        read_model=core.read_model,
        get_property=core.get_property,
        compile_model=lambda *args: Unkept(compile_model(*args)),
    )
    monkeypatch.setattr(library, "core", lambda: stand_in)
    with caplog.at_level(logging.INFO, "edgecount"):
        assert same(maps(tiny_model), expected)
    assert "openvino cannot keep what it compiled: not implemented" in caplog.text
    assert not list(cache.glob("*"))
