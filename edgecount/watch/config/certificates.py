"""The certificates that TLS connections trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import ConfigError

if TYPE_CHECKING:
    import ssl


def ssl_context(ca_file: str | Path | None) -> ssl.SSLContext:
    """Return a TLS context that verifies certificates and host names.

    Args:
        ca_file: PEM file of the CA certificates to trust; None: those of the system.

    Raises:
        ConfigError: the file cannot be read, or is not a PEM file.
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
