"""Faults of sources that no later try will mend."""

from __future__ import annotations

from edgecount.errors import SourceError

NO_PYAV = "PyAV is not installed (pip install av)"
"""Why another library reads a source."""


class PermanentError(SourceError):
    """A source that stays as it is until somebody changes it: a wrong address, no permission."""


class UnknownProtocolError(PermanentError):
    """An address of a kind that this build of a library does not know."""


class SizeError(PermanentError):
    """A video with pictures that are larger than allowed."""


class NoDecoderError(PermanentError):
    """A video in a format that there is no decoder for."""
