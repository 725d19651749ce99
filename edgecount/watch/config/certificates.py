"""Certificates that connections by TLS trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import ConfigError

if TYPE_CHECKING:
    import ssl


def trusting(ca_file: str | Path | None) -> ssl.SSLContext:
    """Return a context that checks certificates and the names in them.

    Args:
        ca_file: PEM file of the authorities that are trusted; None: those that the system trusts.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    import ssl

    if ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except ssl.SSLError:  # its own words are of no help to who gave another file
        raise ConfigError(
            f"ca_file {ca_file}: expected certificates in PEM form (-----BEGIN CERTIFICATE-----), "
            "got something else"
        ) from None
    except OSError as error:
        raise ConfigError(f"ca_file {ca_file}: cannot be read: {error.strerror}") from None
