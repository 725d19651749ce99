"""Tokens of the page, as the config names their files, and the name of its cookie."""

from __future__ import annotations

from pathlib import Path

from edgecount._web.access import Access, is_loopback
from edgecount.errors import ConfigError

COOKIE = "edgecount_session"
_SHORTEST, _LONGEST = 16, 512  # characters of a token
_HOW = "edgecount watch --new-token page.token"


def read_access(address: str, editor: str | None, viewer: str | None) -> Access:
    """Read the tokens for a page that is served at a host.

    Args:
        address: name or address that the page listens at.
        editor: path of the file with the editors' token, or None.
        viewer: path of the file with the viewers' token, or None.

    Raises:
        ConfigError: a file cannot be read or holds no token, or other machines can reach the
            address and there is no token.
    """
    if not (editor or viewer) and not is_loopback(address):
        raise ConfigError(
            f"serve.address: other machines can reach {address}, so the page needs a token: "
            f"make one by {_HOW} and set serve.token_file to page.token"
        )
    access = Access(_token("token_file", editor), _token("viewer_token_file", viewer))
    if access.editor and access.editor == access.viewer:
        raise ConfigError(
            "serve.viewer_token_file: expected another token than token_file's, got the same"
        )
    return access


def _token(key: str, path: str | None) -> str:
    if path is None:
        return ""
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"serve.{key}: {path} cannot be read: {why}; make it by {_HOW}") from None
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if not (is_plain and _SHORTEST <= len(text) <= _LONGEST):
        raise ConfigError(
            f"serve.{key}: expected one line of {_SHORTEST} to {_LONGEST} letters and digits in "
            f"{path}, got {len(text)} characters; make it by {_HOW}"
        )
    return text
