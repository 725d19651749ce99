"""The models that come with edgecount: one .onnx and one model card (.md) each."""

from __future__ import annotations

import difflib
from pathlib import Path

from edgecount.errors import ModelError

__all__ = ["DEFAULT_MODEL", "list_models", "model_path"]

DEFAULT_MODEL = "edgecount-s"


def list_models() -> list[str]:
    """Return the names of the bundled models, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.onnx"))


def model_path(name: str) -> Path:
    """Return the path of a bundled model's .onnx file.

    Raises:
        ModelError: there is no model of this name; the message lists those there are.
    """
    names = list_models()
    if name not in names:
        close = difflib.get_close_matches(name.lower(), names, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        known = ", ".join(names) or "none"
        raise ModelError(
            f"unknown model {name!r}: {hint}bundled models: {known}; "
            "or pass the path of an .onnx file"
        )
    return Path(__file__).parent / f"{name}.onnx"
