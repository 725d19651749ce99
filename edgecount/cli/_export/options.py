"""Check and gather the options of `edgecount export`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._types.sizes import InputSizes
from edgecount.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from edgecount.export.options import ExportOptions
    from edgecount.manifest import Manifest

_ABOUT_INT8 = ("method", "images", "gate_int8")
_ABOUT_ENGINES = (
    *("dla", "workspace", "timing_cache", "hardware_compatible", "version_compatible"),
)
_ABOUT_FOLDERS = ("calibration", "verify", "triton", "threads", "capabilities")
_FLAGS = {"capabilities": "compute-capability"}
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
    engine = given["target"] != "onnx" and not one_file
    asked = engine and given["target"] != "auto"
    needs = [
        (_ABOUT_INT8, given["int8"], "--int8"),
        (("gate_fp16",), given["fp16"] or asked, "--fp16"),
        (("force",), given["fp16"] or given["int8"] or asked, "--fp16 or --int8"),
        (("batch",), engine or given["triton"], "--target tensorrt or tensorrt-rtx, or --triton"),
        (_ABOUT_ENGINES, engine, "--target tensorrt or tensorrt-rtx"),
        (_ABOUT_FOLDERS, not one_file, "a folder as --out"),
    ]
    for names, there, wanted in needs:
        for name in names:
            if name in typed and not there:
                flag = _FLAGS.get(name, name.replace("_", "-"))
                raise ConfigError(f"--{flag}: expected with {wanted}, and does nothing without")
    if given["sizes"] and given["sizes"].profile and not engine:
        raise ConfigError(
            "--input dynamic: expected with --target tensorrt or tensorrt-rtx, and does nothing "
            "without: an ONNX file takes any size"
        )
    for name in ("gate_fp16", "gate_int8"):
        if given[name] > 1:
            raise ConfigError(
                f"--{name.replace('_', '-')}: expected a share of the mean count, 0 to 1 (0.01 is "
                f"1 %), got {given[name]:g}"
            )


def options_of(given: dict[str, Any]) -> ExportOptions:
    """Return the options as the library takes them.

    Raises:
        ConfigError: options contradict one another.
    """
    from edgecount.export.options import EngineOptions, ExportOptions

    sizes: InputSizes = given["sizes"] or InputSizes(None, None)
    target = given["target"]
    if given["capabilities"] and target != "tensorrt-rtx":
        raise ConfigError(
            f"--compute-capability: expected with --target tensorrt-rtx, got --target {target}: "
            "TensorRT builds for the GPU that is there"
        )
    return ExportOptions(
        fp16=given["fp16"],
        int8=given["int8"],
        target=target,
        calibration=given["calibration"],
        method=given["method"],
        number=given["images"],
        verify=given["verify"],
        size=sizes.fixed,
        profile=sizes.profile,
        batch=given["batch"],
        opset=given["opset"],
        engine=EngineOptions(
            "tensorrt" if target in ("auto", "onnx") else target,
            compute_capabilities=given["capabilities"],
            workspace=given["workspace"],
            hardware_compatible=given["hardware_compatible"],
            version_compatible=given["version_compatible"],
            timing_cache=given["timing_cache"],
        ),
        dla_core=given["dla"],
        fp16_gate=given["gate_fp16"],
        int8_gate=given["gate_int8"],
        force=given["force"],
        overwrite=given["overwrite"],
        threads=given["threads"],
    )


def stated_of(given: dict[str, Any]) -> dict[str, str]:
    """Return the manifest's fields that the user states."""
    flags = {"name": "name", "version": "model_version", "licence": "licence"}
    return {field: given[flag] for field, flag in flags.items() if given[flag] is not None}


def manifest_of(path: Path | None) -> Manifest | None:
    """Read the manifest of an ONNX file that carries none; None: none was given.

    Raises:
        ConfigError: the file cannot be read, or holds no manifest.
    """
    from edgecount.errors import ModelError
    from edgecount.manifest import Manifest

    if path is None:
        return None
    try:
        return Manifest.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--manifest: cannot read {path}: {error.strerror}") from error
    except (ModelError, UnicodeDecodeError) as error:
        raise ConfigError(f"--manifest: {path}: {error}") from error
