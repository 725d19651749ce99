"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from edgecount._files import check_writable, replacing, require_regular, writable, write_whole
from edgecount.errors import ModelError, OutputError


def test_a_file_keeps_its_content_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, b"old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            assert path.read_bytes() == b"old"
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert path.read_bytes() == b"old"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as one:
        one.write_bytes(b"one")
        with replacing(path) as other:
            other.write_bytes(b"other")
        assert one.read_bytes() == b"one"
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"cannot write .*inner"):
        write_whole(tmp_path / "file" / "inner", b"data")


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    if kind == "device":
        path.symlink_to("/dev/null")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OutputError, match="expected a regular file"):
        write_whole(path, b"data")
    assert Path("/dev/null").is_char_device()
    assert not path.is_file()


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()


def test_what_blocks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a socket's path has to be short
        server.bind("socket")
        for path, kind in (
            (tmp_path / "pipe", "a FIFO"),
            (tmp_path / "socket", "a socket"),
            (Path(os.devnull), "a device"),
        ):
            with pytest.raises(ModelError, match=f"is {kind}: expected a regular file"):
                require_regular(path)
    with pytest.raises(OutputError):
        require_regular(tmp_path / "pipe", OutputError)
    for path in (tmp_path, tmp_path / "missing", Path("a\0b")):  # whoever opens them says what is
        require_regular(path)


def test_a_pipe_behind_a_number_is_told_as_a_pipe() -> None:
    """The pipe behind /dev/stdout has no name of its own."""
    reader, writer = os.pipe()
    try:
        with pytest.raises(OutputError, match=r"/dev/fd/\d+ is a FIFO: expected a regular file"):
            writable(Path(f"/dev/fd/{writer}"))
    finally:
        os.close(reader)
        os.close(writer)


def test_whether_a_file_can_be_written_is_tried_and_leaves_nothing(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"old")
    check_writable(there)
    check_writable(tmp_path / "new" / "folder" / "file")
    assert list(tmp_path.iterdir()) == [there]
    assert there.read_bytes() == b"old"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/null/file", "/dev/null is no folder"),
        ("/dev/null/new/file", "/dev/null is no folder"),
        ("/proc/file", r"nothing can be made in /proc \("),
        ("/proc/new/file", r"nothing can be made in /proc \("),
        ("/dev", "it is a folder"),
        ("/dev/null", "expected a regular file"),
        ("/dev/" + "n" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(path: str, reason: str) -> None:
    with pytest.raises(OutputError, match=rf"^cannot write {path}: .*{reason}"):
        check_writable(Path(path))
