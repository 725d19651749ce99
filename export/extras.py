"""Name the packages to install for an export, without breaking those that are installed."""

from __future__ import annotations

import importlib
import importlib.util
from importlib import metadata

from edgecount._telemetry import refuse_reports
from edgecount.errors import MissingExtraError

_RUNTIME = "onnxruntime"


def missing(package: str, extra: str, purpose: str) -> MissingExtraError:
    """Return the error for a package that is not installed; see `MissingExtraError`.

    onnxruntime and onnxruntime-gpu install the same module. Where it is not the former that is
    installed, an extra that brings the former would break it: then the packages are named that the
    extra brings besides.
    """
    packages = _packages_of(extra) if _is_another_runtime() else []
    return MissingExtraError(package, extra, purpose, packages=packages)


def check_packages(extra: str, *, openvino: bool = False) -> None:
    """Refuse an export for which packages are missing, before the long work.

    Args:
        extra: the extra that brings what every export needs.
        openvino: whether the files are to be run by OpenVINO too.

    Raises:
        MissingExtraError: a package is not installed.
    """
    refuse_reports()
    name = ""
    try:
        for name in ("onnx", "onnxslim", "onnxruntime", "jinja2"):
            importlib.import_module(name)
    except ImportError as error:
        raise missing(name, extra, "to export models") from error
    # Importing it is left to its backend.
    if openvino and importlib.util.find_spec("openvino") is None:
        raise MissingExtraError("openvino", "openvino", "to count with the files as it will")


def _is_another_runtime() -> bool:
    """Return whether the module onnxruntime is of another package, such as that for GPUs."""
    if importlib.util.find_spec(_RUNTIME) is None:
        return False
    try:
        metadata.distribution(_RUNTIME)
    except metadata.PackageNotFoundError:
        return True
    return False


def _packages_of(extra: str) -> list[str]:
    """Return the requirements of an extra except onnxruntime, as far as metadata has them."""
    try:
        requirements = metadata.requires("edgecount") or []
    except metadata.PackageNotFoundError:
        return []
    parts = [requirement.partition(";") for requirement in requirements]
    # Both kinds of quotes are in use.
    of_extra = [name for name, _, when in parts if f"extra=='{extra}'" in _plain(when)]
    return [_plain(name) for name in of_extra if not name.startswith(_RUNTIME)]


def _plain(text: str) -> str:
    return text.replace(" ", "").replace('"', "'")
