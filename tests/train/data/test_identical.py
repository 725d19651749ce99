"""Files with the same bytes."""

from edgecount.train.data import identical
from edgecount.train.data.identical import first_of_each


def test_copies_are_known_by_their_bytes_alone(tmp_path):
    contents = {"a": b"one", "b": b"two", "c": b"one", "d": b"three", "e": b"two", "f": b"one"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in contents]
    assert first_of_each(paths) == [0, 1, 0, 3, 1, 0]


def test_files_of_one_size_are_read_whole_only_where_they_begin_alike(tmp_path, monkeypatch):
    start, rest = bytes(1 << 16), bytes(100)
    contents = [start + rest, b"x" + start[1:] + rest, start + rest[1:] + b"x", start + rest]
    paths = [tmp_path / f"{number}.bmp" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    read, whole = [], identical._whole

    def noted(path):
        read.append(path)
        return whole(path)

    monkeypatch.setattr(identical, "_whole", noted)
    assert first_of_each(paths) == [0, 1, 2, 0]
    assert read == [paths[0], *paths[2:]]


def test_what_cannot_be_read_is_like_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    paths = [tmp_path / "none", tmp_path / "none", tmp_path / "folder", tmp_path / "folder"]
    assert first_of_each(paths) == [0, 1, 2, 3]
