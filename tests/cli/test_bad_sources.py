"""`count`: one bad file never ends a run, whatever it raises."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edgecount.errors import BackendError
from edgecount.runtime.backends.fake import FakeBackend
from edgecount.runtime.sources.image import ImageSource

RAISED = {
    "not enough memory": MemoryError(),
    "RecursionError": RecursionError("maximum recursion depth exceeded"),
    "error": cv2.error("out of memory"),
    "OSError": OSError(5, "Input/output error"),
    "UnicodeEncodeError": UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"),
    "AttributeError": AttributeError("a bug"),
}


@pytest.fixture
def folder(files) -> Path:
    for name, people in (("a", 1), ("bad", 2), ("c", 3)):
        files.image(f"in/{name}.png", people)
    return files.root / "in"


@pytest.mark.parametrize("reason", RAISED)
def test_whatever_a_file_raises_the_others_are_counted(run, folder, monkeypatch, reason):
    read = ImageSource.read

    def fail(self, on_size=None):
        if self.name.endswith("bad.png"):
            raise RAISED[reason]
        return read(self, on_size)

    monkeypatch.setattr(ImageSource, "read", fail)
    result = run("count", folder)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("edgecount: error: ")
    assert str(folder / "bad.png") in line
    assert reason in line
    assert [line.split()[0] for line in result.stdout.splitlines()[:2]] == ["1.0", "3.0"]


class Fussy(FakeBackend):
    """A backend that fails on frames of one height, or on all."""

    height: int | None = None

    def infer(self, feed):
        (tensor,) = feed.values()
        if self.height in (None, tensor.shape[2]):
            raise BackendError("the engine failed")
        return super().infer(feed)


@pytest.fixture
def fussy(monkeypatch) -> Fussy:
    from edgecount import counter

    backend = Fussy([(10, 10)])
    made = counter.EdgeCounter
    monkeypatch.setattr(counter, "EdgeCounter", lambda *_, **__: made(backend=backend))
    return backend


def test_an_engine_that_fails_at_one_size_counts_the_others(run, files, folder, fussy):
    fussy.height = 480
    files.image("in/bad.png", 2, size=(320, 480))
    files.image("in/also bad.png", 2, size=(320, 480))
    result = run("count", folder)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 2
    assert "bad.png: the engine failed" in result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[:2]] == ["1.0", "1.0"]


def test_an_engine_that_fails_at_everything_ends_the_run(run, folder, fussy):
    result = run("count", folder)
    assert result.exit_code == 1
    assert result.stderr == "edgecount: error: the engine failed\n"
    assert result.stdout == ""


def test_a_name_that_the_system_refuses(run, files):
    path = files.image("a.png", 1)
    result = run("count", "x" * 5000, "9" * 5000, path)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 2
    assert "1.0" in result.stdout


def test_a_link_to_itself_beside_others(run, files, folder, tmp_path):
    (folder / "loop.png").symlink_to(folder / "loop.png")
    result = run("count", folder, "--save", tmp_path / "out")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert len(list((tmp_path / "out").iterdir())) == 3
