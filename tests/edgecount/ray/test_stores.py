"""Images in object stores, for which pyarrow's local and other filesystems stand in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecount.errors import SourceError
from s3_server import open_s3, serve_s3


def test_names_of_a_folder(crowd: Path) -> None:
    from edgecount.ray._stores import Stores

    names = list(Stores().names(f"file://{crowd}/"))
    assert len(names) == 40
    assert names == sorted(names)
    assert f"file://{crowd}/inner/4.png" in names
    assert list(Stores().names(names[3])) == [names[3]]


def test_hidden_files_and_others_are_left_out(tmp_path: Path) -> None:
    from edgecount.ray._stores import Stores

    for name in (
        "a.png",
        "B.JPG",
        "a.overlay.png",
        "clip.mp4",
        "notes.txt",
        ".hidden.png",
        ".folder/c.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [name.rpartition("/")[2] for name in Stores().names(f"file://{tmp_path}")]
    assert found == ["B.JPG", "a.png"]


def test_nothing_there(tmp_path: Path) -> None:
    from edgecount.ray._stores import Stores

    with pytest.raises(SourceError, match="no such file or folder: file:///none/at/all"):
        list(Stores().names("file:///none/at/all"))
    with pytest.raises(SourceError, match="hold no image"):
        list(Stores().names(f"file://{tmp_path}"))


@pytest.mark.parametrize("name", ["plain.png", "with a space.png", "50%20#1?.png"])
def test_reads_what_is_there(tmp_path: Path, crowd: Path, name: str) -> None:
    from edgecount.ray._stores import Stores

    data = (crowd / "3.png").read_bytes() + bytes(3 << 20)  # of more than one request
    (tmp_path / name).write_bytes(data)
    assert Stores().read(f"file://{tmp_path}/{name}") == data


def test_a_filesystem_of_ones_own(crowd: Path) -> None:
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    from edgecount.ray._stores import Stores

    stores = Stores(SubTreeFileSystem(str(crowd), LocalFileSystem()))
    assert stores.hold("inner/4.png")
    assert list(stores.names("inner")) == [
        f"inner/{n}.png" for n in sorted(map(str, range(0, 40, 4)))
    ]
    data = (crowd / "inner" / "4.png").read_bytes()
    assert stores.read("inner/4.png") == stores.read("s3://inner/4.png") == data


def test_a_file_that_comes_in_parts(crowd: Path) -> None:
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    fsspec = pytest.importorskip("fsspec.implementations.local")

    class Slow(fsspec.LocalFileSystem):  # type: ignore[misc, name-defined]
        """Gives what has come over the network so far."""

        def open(self, *arguments: Any, **options: Any) -> Any:
            file = super().open(*arguments, **options)
            read = file.f.read
            file.read = lambda size=-1: read(min(size, 40) if size >= 0 else 40)
            return file

    from edgecount.ray._stores import Stores

    data = (crowd / "3.png").read_bytes()
    assert len(data) > 100
    assert Stores(PyFileSystem(FSSpecHandler(Slow()))).read(str(crowd / "3.png")) == data


def test_urls_of_a_filesystem_of_ones_own(crowd: Path) -> None:
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    from edgecount.ray._stores import Stores

    data = (crowd / "inner" / "4.png").read_bytes()
    assert Stores(LocalFileSystem()).read(f"file://{crowd}/inner/4.png") == data
    azure = Stores(SubTreeFileSystem(str(crowd), LocalFileSystem()))
    assert azure.read("abfss://inner@acct.dfs.core.windows.net/4.png") == data


def test_a_folder_that_goes_away(tmp_path: Path) -> None:
    from edgecount.ray._stores import Stores

    Stores().check(f"file://{tmp_path}")
    with pytest.raises(SourceError, match=r"the folder file:///.*/gone went away"):
        Stores().check(f"file://{tmp_path}/gone")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file: file:///"),
        (b"", r"a.png is empty \(0 bytes\)"),
        (b"dear diary", "a.png is not an image that can be decoded"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    from edgecount.ray._stores import Stores

    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        Stores().read(f"file://{tmp_path}/a.png")


def test_a_store_that_pyarrow_does_not_know() -> None:
    from edgecount.ray._stores import Stores

    with pytest.raises(SourceError, match=r"cannot read ftp://\S*/a.png: .*") as caught:
        Stores().read("ftp://user:secret@host/a.png")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bucket_of_s3(tmp_path: Path, crowd: Path) -> None:
    from edgecount.ray._stores import Stores

    data = (crowd / "3.png").read_bytes()
    contents = {"a.png": data, "in side/50%20 #1?.png": data + bytes(3 << 20), "secret.png": data}
    for name, content in contents.items():
        path = tmp_path / "bucket" / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with serve_s3(tmp_path, denied="secret") as host:
        stores = Stores(open_s3(host))
        names = list(stores.names("s3://bucket/photos"))
        assert names == [f"s3://bucket/photos/{name}" for name in sorted(contents)]
        for name in names[:2]:
            assert stores.read(name) == contents[name.removeprefix("s3://bucket/photos/")]
        with pytest.raises(SourceError, match=r"cannot read s3://bucket/photos/secret.png: .*ACCE"):
            stores.read(names[2])
        with pytest.raises(SourceError, match=r"no such file: s3://bucket/none.png"):
            stores.read("s3://bucket/none.png")
        with pytest.raises(SourceError, match="no such file or folder: s3://bucket/none"):
            list(stores.names("s3://bucket/none"))


def test_which_paths_are_of_stores() -> None:
    from edgecount.ray._stores import in_store

    assert in_store("s3://bucket/key")
    assert in_store("gs://anonymous@bucket/key")
    assert not in_store("/data/images")
    assert not in_store("https://host/image.jpg")
