"""`edgecount export`: files for deployment from one model, each compared with it."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edgecount.cli._export.options import (
    check_name,
    check_useful,
    check_version,
    manifest_of,
    options_of,
    stated_of,
)
from edgecount.cli._export.table import table
from edgecount.cli._shell.flags import with_flags
from edgecount.cli._shell.output import printable, text_of, to_json
from edgecount.cli._shell.progress import Bars, echo
from edgecount.cli._types.options import FiniteRange, json_option, threads_option
from edgecount.cli._types.paths import UserPath
from edgecount.cli._types.sizes import InputSizes, InputSizesType
from edgecount.export.defaults import (
    CALIBRATED,
    FP16_GATE,
    INT8_GATE,
    MAX_BATCH,
    METHOD,
    METHODS,
    OPSET,
)

if TYPE_CHECKING:
    from edgecount.manifest import Manifest

_TARGETS = ("auto", "onnx", "tensorrt", "tensorrt-rtx", "openvino")


@click.command(short_help="Write a model as files for deployment.")
@click.argument("model")
@click.option(
    "--out",
    type=UserPath(),
    help="Folder to make; a name ending in .onnx gives the float32 file alone.  "
    "[default: MODEL's name with -export]",
)
@click.option("--fp16", is_flag=True, help="Write half-precision files.")
@click.option("--int8", is_flag=True, help="Write INT8 files; needs --calibration.")
@click.option(
    "--target",
    type=click.Choice(_TARGETS),
    default="auto",
    show_default=True,
    help="Engine to build besides the ONNX files; auto: TensorRT where it finds a GPU; openvino "
    "builds none, and proves the files with OpenVINO on this CPU.",
)
@click.option(
    "--calibration",
    type=UserPath(),
    metavar="DIR",
    help="Images of the scenes that the model will see, for --int8.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default=METHOD,
    show_default=True,
    help="How --int8 chooses the ranges of values.",
)
@click.option(
    "--images",
    "number",
    type=click.IntRange(min=1),
    default=CALIBRATED,
    metavar="N",
    show_default=True,
    help="Number of calibration images, at most.",
)
@click.option(
    "--verify",
    type=UserPath(),
    metavar="DIR",
    help="Images to compare counts on.  [default: calibration images that were not used, or "
    "rendered scenes]",
)
@click.option(
    "--input",
    "sizes",
    type=InputSizesType(),
    help="One size, or the min, opt and max of an engine.  [default: any size]",
)
@click.option(
    "--batch",
    type=click.IntRange(1, MAX_BATCH),
    metavar="N",
    help="Frames in one call, at most.  [default: 1 of an engine, 8 of an ONNX file for --triton]",
)
@click.option(
    "--opset",
    type=click.IntRange(14, 21),
    default=OPSET,
    metavar="N",
    show_default=True,
    help="Version of ONNX's operators.",
)
@click.option(
    "--compute-capability",
    "compute_capabilities",
    multiple=True,
    metavar="N",
    help="GPU to build for ahead of time, such as 89; repeat for several (tensorrt-rtx only).",
)
@click.option(
    "--dla",
    "dla_core",
    type=click.IntRange(min=0),
    metavar="N",
    help="Core of the deep learning accelerator to build for, from 0.",
)
@click.option(
    "--workspace",
    type=click.IntRange(min=1),
    metavar="MiB",
    help="Most scratch memory of a layer; cap it on small boards.",
)
@click.option(
    "--hardware-compatible",
    is_flag=True,
    help="Build for all GPUs from Ampere on but Jetsons, slower.",
)
@click.option(
    "--same-capability",
    is_flag=True,
    help="Build for all GPUs of this one's compute capability, slower; no Jetson.",
)
@click.option(
    "--version-compatible", is_flag=True, help="Build for later TensorRT versions too, slower."
)
@click.option(
    "--fp16-input",
    is_flag=True,
    help="Engines of --fp16 and --int8 take the image as float16: half the bytes.",
)
@click.option(
    "--timing-cache",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Times that TensorRT measured in earlier builds; read and written.",
)
@click.option(
    "--gate-fp16",
    "fp16_gate",
    type=FiniteRange(min=0),
    default=FP16_GATE,
    metavar="SHARE",
    show_default=True,
    help="Largest difference of the FP16 counts, as a share of their mean: 0.01 is 1 %.",
)
@click.option(
    "--gate-int8",
    "int8_gate",
    type=FiniteRange(min=0),
    default=INT8_GATE,
    metavar="SHARE",
    show_default=True,
    help="Largest difference of the INT8 counts, as a share of their mean.",
)
@click.option("--force", is_flag=True, help="Keep files that a gate refuses; the report says so.")
@click.option(
    "--triton",
    type=UserPath(file_okay=False),
    metavar="DIR",
    help="Add the model to this model repository of Triton Inference Server.",
)
@click.option(
    "--manifest",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Manifest (JSON) of an .onnx that carries none.",
)
@click.option("--name", callback=check_name, help="The model's name.  [default: its own]")
@click.option(
    "--model-version",
    "version",
    metavar="X.Y.Z",
    callback=check_version,
    help="The model's version.  [default: its own]",
)
@click.option("--licence", metavar="TEXT", help="Terms of the weights.  [default: the model's own]")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@threads_option
@json_option
@click.pass_context
def export(
    ctx: click.Context, /, model: str, *, out: Path | None, as_json: bool, **given: Any
) -> None:
    """Write MODEL as files for deployment, each compared with the float32 one.

    MODEL is a bundled name, a checkpoint (.pt) of edgecount train, or an .onnx; one that carries no
    edgecount manifest needs --manifest (edgecount inspect --manifest-template writes one).

    A file whose counts differ by more than its gate is refused: exit code 1, and nothing is
    written.
    """
    from edgecount.export.package import export_model
    from edgecount.export.report import write_report
    from edgecount.export.triton import model_folder, write_repository

    model = os.path.expanduser(model)  # noqa: PTH111 (a name is no path)
    typed = {
        name for name in given if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    check_useful(typed, given, one_file=out is not None and out.suffix == ".onnx")
    if out is not None and out.suffix == ".onnx":
        _one_file(model, out, given, as_json)
        return
    target = out or Path(f"{Path(model).stem}-export")
    repository: Path | None = given["triton"]

    def warn(warning: str) -> None:
        echo(f"edgecount: warning: {with_flags(warning)}", err=True)

    def begin(manifest: Manifest) -> None:
        if repository:
            model_folder(repository, manifest, overwrite=given["overwrite"])

    with Bars(shown=not as_json) as bars:
        made = export_model(
            model,
            target,
            options_of(given),
            manifest=manifest_of(given["manifest"]),
            stated=stated_of(given),
            progress=bars.report,
            warn=warn,
            begin=begin,
            finish=write_report,
        )
    if given["batch"] and made.no_engine and not repository:
        warn(f"--batch did nothing: no engine is built, because {made.no_engine}")
    served = str(write_repository(made, target, repository)) if repository else None
    report = json.loads((target / "report.json").read_text())
    if as_json:
        click.echo(to_json({"folder": str(target), "triton": served, **report}))
        return
    click.echo(text_of([*table(report), "", str(target / "report.html")]))
    if served:
        click.echo(printable(served))
    click.echo(f"\nnow run  edgecount count SOURCE --model {_quoted(target)}")


def _one_file(model: str, out: Path, given: dict[str, Any], as_json: bool) -> None:
    """Write the float32 file alone, without a report."""
    from edgecount._files import write_whole
    from edgecount.errors import ConfigError, OutputError
    from edgecount.export.source.load import load_source, with_static_size

    if given["fp16"] or given["int8"] or given["target"] not in ("onnx", "auto"):
        raise ConfigError(
            f"--out: expected a folder for --fp16, --int8 and engines, got the file name {out}"
        )
    if out.exists() and not given["overwrite"]:
        raise OutputError(f"{out} exists: choose another `out`, or add `overwrite`")
    manifest = manifest_of(given["manifest"])
    source = load_source(model, manifest=manifest, stated=stated_of(given), version=given["opset"])
    sizes: InputSizes | None = given["sizes"]
    if sizes and sizes.fixed:
        source = with_static_size(source, sizes.fixed)
    data = source.model.SerializeToString()
    write_whole(out, data)
    written = source.manifest
    if as_json:
        click.echo(to_json({"file": str(out), "bytes": len(data), "model": written.name}))
        return
    size = f"{len(data) / 1e6:.1f} MB"
    click.echo(printable(f"{out}  {written.name} {written.version}  {size}"))
    click.echo(f"now run  edgecount count SOURCE --model {_quoted(out)}")


def _quoted(path: Path) -> str:
    return shlex.quote(printable(str(path)))
