"""Warnings that are of use once, of cameras that are opened again and again."""

from __future__ import annotations

import logging

_told: set[tuple[str, str]] = set()
_MOST = 10_000  # texts that are remembered


def warn_once(log: logging.Logger, text: str) -> None:
    """Log a warning, unless this process has logged it before."""
    if (log.name, text) not in _told:
        if len(_told) < _MOST:
            _told.add((log.name, text))
        log.warning("%s", text)
