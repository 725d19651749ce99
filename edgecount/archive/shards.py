"""Shards: the parts of an archive that processes count without knowing of each other."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from edgecount.errors import ConfigError
from edgecount.runtime.sources.urls import without_user

_TEXT = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*")


@dataclass(frozen=True)
class Shard:
    """A part of an archive: number `index` of `total`, counted from 1.

    An image belongs to the shard that a hash of its name says, whatever other images there are and
    whichever machine asks: it stays in its shard when images are added or deleted.

    Raises:
        ConfigError: not 1 <= index <= total.
    """

    index: int = 1
    total: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.total:
            raise ConfigError(
                f"shard: expected I/N with I from 1 to N, such as 1/16 for the first and 16/16 for "
                f"the last of 16, got {self}"
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read the text I/N.

        Raises:
            ConfigError: it is none.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ConfigError(f"shard: expected I/N, such as 1/16, got {text!r}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.total}"

    @property
    def file_name(self) -> str:
        """Beginning of the names of its files; they sort in the order of the shards."""
        total = str(self.total)
        return f"shard-{self.index:0{len(total)}}-of-{total}"

    def holds(self, name: str) -> bool:
        """Return whether an image of this name belongs to the shard."""
        if self.total == 1:
            return True
        # Not hash(), which differs from process to process. A new password moves no image.
        digest = hashlib.blake2b(os.fsencode(without_user(name)), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.total == self.index - 1
