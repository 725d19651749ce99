"""PyNvVideoCodec, NVIDIA's Python binding of NVDEC, loaded when a video is first opened with it."""

from __future__ import annotations

import importlib
from typing import Any

from edgecount.errors import MissingExtraError
from edgecount.runtime.sources.faults import PermanentError

_PACKAGE = "PyNvVideoCodec"


def load_library() -> Any:
    """Load PyNvVideoCodec.

    Raises:
        MissingExtraError: it is not installed.
        PermanentError: it finds no driver with its libraries of video.
    """
    try:
        return importlib.import_module(_PACKAGE)
    except ModuleNotFoundError as error:
        if error.name != _PACKAGE:
            raise PermanentError(_words(error)) from None
        raise MissingExtraError(_PACKAGE, "nvdec", "to decode on NVDEC") from None
    except Exception as error:  # noqa: BLE001 (it raises what its parts raise)
        raise PermanentError(_words(error)) from None


def _words(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"{_PACKAGE} cannot be loaded: {lines[0]}: it takes an NVIDIA driver with its libraries of "
        "video, in a container NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"
    )
