"""Check and gather the options of `edgecount export`."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from edgecount._files import require_regular
from edgecount.cli._types.sizes import InputSizes
from edgecount.errors import ConfigError
from edgecount.export.defaults import ENGINE_OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from edgecount.export.options import ExportOptions
    from edgecount.manifest import Manifest

_ABOUT_INT8 = ("method", "number", "int8_gate")
_NO_ENGINE = ("auto", "onnx", "openvino")  # targets that do not name a library to build with
_ABOUT_FOLDERS = ("calibration", "verify", "triton", "threads", "compute_capabilities")
_VERSION = re.compile(r"\d+(\.\d+){0,2}([-+.][0-9A-Za-z.+-]+)?")


def check_name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Refuse a name without a letter: files and repositories are called by it."""
    if value is not None and not value.strip():
        raise click.BadParameter("expected the model's name, got an empty one")
    return value


def check_version(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Refuse a version that is no number."""
    if value is not None and not _VERSION.fullmatch(value):
        raise click.BadParameter(f"expected numbers such as 1.2.0, got {value!r}")
    return value


def check_useful(typed: set[str], given: dict[str, Any], *, one_file: bool) -> None:
    """Refuse options that would do nothing.

    Raises:
        ConfigError: an option is given without another that it needs, or a gate is no share.
    """
    engine = given["target"] not in ("onnx", "openvino") and not one_file
    asked = given["target"] not in ("onnx", "auto") and not one_file
    needs = [
        (_ABOUT_INT8, given["int8"], "--int8"),
        (("fp16_gate",), given["fp16"] or asked, "--fp16"),
        (("force",), given["fp16"] or given["int8"] or asked, "--fp16 or --int8"),
        (("batch",), engine or given["triton"], "--target tensorrt or tensorrt-rtx, or --triton"),
        (("dla_core", *ENGINE_OPTIONS), engine, "--target tensorrt or tensorrt-rtx"),
        (_ABOUT_FOLDERS, not one_file, "a folder as --out"),
    ]
    for names, there, wanted in needs:
        for name in names:
            if name in typed and not there:
                raise ConfigError(f"{name}: expected with {wanted}; without it has no effect")
    if given["sizes"] and given["sizes"].profile and not engine:
        raise ConfigError(
            "profile: expected with --target tensorrt or tensorrt-rtx; without it has no effect: "
            "an ONNX file takes any size"
        )
    for name in ("fp16_gate", "int8_gate"):
        if given[name] > 1:
            raise ConfigError(
                f"{name}: expected a share of the mean count, 0 to 1 (0.01 is 1 %), got "
                f"{given[name]:g}"
            )


def options_of(given: dict[str, Any]) -> ExportOptions:
    """Return the options as the library takes them.

    Raises:
        ConfigError: options contradict one another.
    """
    from edgecount.export.options import EngineOptions, ExportOptions

    sizes: InputSizes = given["sizes"] or InputSizes(None, None)
    target = given["target"]
    if given["compute_capabilities"] and target != "tensorrt-rtx":
        raise ConfigError(
            f"compute_capabilities: expected with --target tensorrt-rtx, got --target {target}: "
            "TensorRT builds for the GPU that is there"
        )
    engine = {name: given[name] for name in (*ENGINE_OPTIONS, "compute_capabilities")}
    apart: dict[str, Any] = {
        "engine": EngineOptions("tensorrt" if target in _NO_ENGINE else target, **engine),
        "size": sizes.fixed,
        "profile": sizes.profile,
    }
    rest = {field.name for field in fields(ExportOptions)} - apart.keys()
    return ExportOptions(**{name: given[name] for name in rest}, **apart)


def stated_of(given: dict[str, Any]) -> dict[str, str]:
    """Return the manifest's fields that the user states."""
    names = ("name", "version", "licence")
    return {name: given[name] for name in names if given[name] is not None}


def manifest_of(path: Path | None) -> Manifest | None:
    """Read the manifest of an ONNX file that carries none; None: none was given.

    Raises:
        ConfigError: the file cannot be read, or holds no manifest.
    """
    from edgecount.errors import ModelError
    from edgecount.manifest import Manifest

    if path is None:
        return None
    require_regular(path, ConfigError)
    try:
        return Manifest.from_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"manifest: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"manifest: {path} is no text in UTF-8: save it as that") from error
    except ModelError as error:
        raise ConfigError(f"manifest: {path}: {error}") from error
