"""Shards: the same everywhere, and all of them together everything once."""

from __future__ import annotations

import pytest

from edgecount import ConfigError
from edgecount.archive.shards import Shard

# (of 2, of 16, of 1000). A table that was begun by one release must be finished by another one.
PINNED = {
    "a.jpg": (2, 10, 450),
    "2024/05/cam1/000001.jpg": (1, 5, 61),
    "Zürich.png": (1, 5, 701),
    "\udcff.jpg": (1, 7, 231),
    "https://h/x.jpg": (1, 9, 257),
    "https://me:word@h/x.jpg": (1, 9, 257),  # the same row
    "a\nb": (2, 16, 8),
}


@pytest.mark.parametrize("name", PINNED)
def test_an_image_stays_in_its_shard(name):
    for total, index in zip((2, 16, 1000), PINNED[name], strict=True):
        holders = [i for i in range(1, total + 1) if Shard(i, total).holds(name)]
        assert holders == [index]


def test_every_image_is_in_one_shard_and_shards_are_of_a_size():
    names = [f"camera{i % 7}/{i:06}.jpg" for i in range(8000)]
    sizes = [sum(map(Shard(i, 8).holds, names)) for i in range(1, 9)]
    assert sum(sizes) == len(names)
    assert 900 < min(sizes) <= max(sizes) < 1100  # 30 is one standard deviation


def test_one_shard_is_everything():
    assert all(map(Shard().holds, PINNED))


def test_texts():
    assert Shard.parse(" 3/16 ") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"
    assert Shard(3, 16).file_name == "shard-03-of-16"


@pytest.mark.parametrize("text", ["0/4", "5/4", "0/0"])
def test_a_shard_that_there_is_not_is_told(text):
    with pytest.raises(ConfigError, match=rf"shard: expected I/N with I from 1 to N.*got {text}"):
        Shard.parse(text)


@pytest.mark.parametrize(
    "text", ["", "3", "1/", "-1/4", "1/4/2", "a/b", "1.0/4", "9" * 5000 + "/1"]
)
def test_what_is_no_shard_is_told(text):
    with pytest.raises(ConfigError, match="shard: expected I/N, such as 1/16"):
        Shard.parse(text)
