"""Files with the same bytes."""

from edgecount.train.data.identical import first_of_each


def test_copies_are_known_by_their_bytes_alone(tmp_path):
    contents = {"a": b"one", "b": b"two", "c": b"one", "d": b"three", "e": b"two", "f": b"one"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in contents]
    assert first_of_each(paths) == [0, 1, 0, 3, 1, 0]


def test_what_cannot_be_read_is_like_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    paths = [tmp_path / "none", tmp_path / "none", tmp_path / "folder", tmp_path / "folder"]
    assert first_of_each(paths) == [0, 1, 2, 3]
