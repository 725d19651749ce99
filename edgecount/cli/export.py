"""`edgecount export`: proven files for deployment, from one model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edgecount.cli._options import json_option
from edgecount.cli._progress import Progress, echo
from edgecount.cli._sizes import InputSizes, InputSizesType
from edgecount.export.defaults import CALIBRATED, FP16_GATE, INT8_GATE, METHOD, OPSET

if TYPE_CHECKING:
    from edgecount.export.options import ExportOptions
    from edgecount.export.package import Export
    from edgecount.export.source import Description

_TARGETS = ("auto", "onnx", "tensorrt", "tensorrt-rtx")
_METHODS = ("percentile", "entropy", "minmax")
_DESCRIBING = ("density", "heatmap", "offset")
_ABOUT_FOREIGN = (*("stride", "unit", "mean", "scale", "channels", "multiple", "threshold"),)
_ABOUT_INT8 = ("method", "images", "gate_int8")
_ABOUT_ENGINES = (
    *("batch", "dla", "workspace", "timing_cache"),
    *("hardware_compatible", "version_compatible"),
)
_ABOUT_FOLDERS = ("calibration", "verify", "triton", "threads", "capabilities")
_FLAGS = {"capabilities": "compute-capability"}


@click.command(short_help="Write a model as proven files for deployment.")
@click.argument("model")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to make; a name ending in .onnx gives the float32 file alone.  "
    "[default: MODEL's name with -export]",
)
@click.option("--fp16", is_flag=True, help="Half-precision files.")
@click.option("--int8", is_flag=True, help="Byte files; needs --calibration.")
@click.option(
    "--target",
    type=click.Choice(_TARGETS),
    default="auto",
    show_default=True,
    help="Engine to build besides the ONNX files; auto: TensorRT where it finds a GPU.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Images of the scenes that the model will see, for --int8.",
)
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    default=METHOD,
    show_default=True,
    help="How --int8 chooses ranges.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=CALIBRATED,
    show_default=True,
    help="Calibration images, at most.",
)
@click.option(
    "--verify",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Images to compare counts on.  [default: calibration images that were not used, or "
    "rendered scenes]",
)
@click.option(
    "--input",
    "sizes",
    type=InputSizesType(),
    help="One size, or an engine's least, usual and largest.  [default: any size]",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Frames in one call of an engine, at most.",
)
@click.option(
    "--opset",
    type=click.IntRange(13, 21),
    default=OPSET,
    show_default=True,
    help="Version of ONNX's operators.",
)
@click.option(
    "--compute-capability",
    "capabilities",
    multiple=True,
    metavar="N",
    help="GPU to build for ahead of time, such as 89; again for more.  Only tensorrt-rtx.",
)
@click.option("--dla", type=click.IntRange(min=0), metavar="N", help="Build for this accelerator.")
@click.option(
    "--workspace",
    type=click.IntRange(min=1),
    metavar="MiB",
    help="Most scratch memory of a layer; cap it on small boards.",
)
@click.option(
    "--hardware-compatible", is_flag=True, help="An engine for all GPUs from Ampere on, slower."
)
@click.option(
    "--version-compatible", is_flag=True, help="An engine for later TensorRT versions too, slower."
)
@click.option(
    "--timing-cache",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What TensorRT measured before; read and written.",
)
@click.option(
    "--gate-fp16",
    type=click.FloatRange(min=0),
    default=FP16_GATE,
    show_default=True,
    help="Largest difference of the counts, as a share of their mean.",
)
@click.option(
    "--gate-int8",
    type=click.FloatRange(min=0),
    default=INT8_GATE,
    show_default=True,
    help="The same for INT8.",
)
@click.option("--force", is_flag=True, help="Keep files that a gate refuses; the report says so.")
@click.option(
    "--triton",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Add the model to this model repository of Triton Inference Server.",
)
@click.option("--density", metavar="NAME", help="Of an ONNX without a manifest: its density map.")
@click.option("--heatmap", metavar="NAME", help="The same: its map of heads.")
@click.option("--offset", metavar="NAME", help="The same: the heads' offsets in their cells.")
@click.option("--stride", type=click.IntRange(min=1), help="The same: pixels per cell of the map.")
@click.option("--unit", type=float, default=1.0, help="The same: the density of one person.")
@click.option(
    "--mean", type=float, nargs=3, default=(127.5,) * 3, help="The same: taken off pixels 0..255."
)
@click.option(
    "--scale", type=float, nargs=3, default=(1 / 127.5,) * 3, help="The same: times this."
)
@click.option(
    "--channels", type=click.Choice(["RGB", "BGR"]), default="RGB", help="The same: their order."
)
@click.option(
    "--multiple", type=click.IntRange(min=1), default=32, help="The same: sides are multiples of N."
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.4,
    help="The same: score above which a head counts.",
)
@click.option("--name", help="The model's name.  [default: its own]")
@click.option("--model-version", metavar="X.Y.Z", help="The model's version.  [default: its own]")
@click.option("--licence", metavar="TEXT", help="Terms of the weights.  [default: the model's own]")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@click.option("--threads", type=click.IntRange(min=1), help="Of ONNX Runtime.")
@json_option
@click.pass_context
def export(
    ctx: click.Context, /, model: str, *, out: Path | None, as_json: bool, **given: Any
) -> None:
    """Write MODEL as files for deployment, each compared with the float32 one.

    MODEL is a bundled name, a checkpoint (.pt) of edgecount train, or an .onnx; one without an
    edgecount manifest needs --density or --heatmap.

    A file whose counts differ by more than its gate is refused: exit code 1, and nothing is
    written.
    """
    from edgecount.export.package import export_model

    typed = {
        name for name in given if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    _check_useful(typed, given, one_file=out is not None and out.suffix == ".onnx")
    if out is not None and out.suffix == ".onnx":
        _one_file(model, out, given, as_json)
        return
    target = out or Path(f"{Path(model).stem}-export")
    with _Bars(shown=not as_json) as bars:
        made = export_model(
            model,
            target,
            _options(given),
            described=_description(given),
            stated=_stated(given),
            report=bars.report,
            finish=_write_report,
        )
    served = _serve(made, target, given["triton"])
    for warning in made.warnings:
        echo(f"edgecount: warning: {warning}", err=True)
    report = json.loads((target / "report.json").read_text())
    if as_json:
        click.echo(json.dumps({"folder": str(target), "triton": served, **report}))
        return
    for line in _table(report):
        click.echo(line)
    click.echo(f"\n{target / 'report.html'}")
    if served:
        click.echo(served)


def _check_useful(typed: set[str], given: dict[str, Any], *, one_file: bool) -> None:
    """Refuse options that would do nothing: whoever typed them expects something.

    Raises:
        ConfigError: an option lacks another that it is about.
    """
    from edgecount.errors import ConfigError

    engine = given["target"] != "onnx" and not one_file
    asked = engine and given["target"] != "auto"
    needs = [
        (_ABOUT_FOREIGN, any(given[name] for name in _DESCRIBING), "--density or --heatmap"),
        (_ABOUT_INT8, given["int8"], "--int8"),
        (("gate_fp16",), given["fp16"] or asked, "--fp16"),
        (("force",), given["fp16"] or given["int8"] or asked, "--fp16 or --int8"),
        (_ABOUT_ENGINES, engine, "--target tensorrt or tensorrt-rtx"),
        (_ABOUT_FOLDERS, not one_file, "a folder as --out"),
    ]
    for names, there, wanted in needs:
        for name in names:
            if name in typed and not there:
                flag = _FLAGS.get(name, name.replace("_", "-"))
                raise ConfigError(f"--{flag}: expected with {wanted}, and does nothing without")


def _serve(made: Export, folder: Path, repository: Path | None) -> str | None:
    """The model's folder in a repository of Triton, if one is asked for."""
    if repository is None:
        return None
    from edgecount.export.triton import write_repository

    return str(write_repository(made, folder, repository))


def _write_report(made: Export, folder: Path) -> None:
    from edgecount.export.report import write_report

    write_report(made, folder)


def _one_file(model: str, out: Path, given: dict[str, Any], as_json: bool) -> None:
    """The float32 file alone, without a report."""
    from edgecount.errors import ConfigError, OutputError
    from edgecount.export.onnx import write_whole
    from edgecount.export.source import load_source, with_static_size

    if given["fp16"] or given["int8"] or given["target"] in ("tensorrt", "tensorrt-rtx"):
        raise ConfigError(
            f"--out: expected a folder for --fp16, --int8 and engines, got the file name {out}"
        )
    if out.exists() and not given["overwrite"]:
        raise OutputError(f"{out} exists: choose another --out, or add --overwrite")
    source = load_source(
        model, described=_description(given), stated=_stated(given), version=given["opset"]
    )
    sizes: InputSizes | None = given["sizes"]
    if sizes and sizes.fixed:
        source = with_static_size(source, sizes.fixed)
    data = source.model.SerializeToString()
    write_whole(out, data)
    manifest = source.manifest
    if as_json:
        click.echo(json.dumps({"file": str(out), "bytes": len(data), "model": manifest.name}))
        return
    click.echo(f"{out}  {manifest.name} {manifest.version}  {len(data) / 1e6:.1f} MB")


def _options(given: dict[str, Any]) -> ExportOptions:
    from edgecount.errors import ConfigError
    from edgecount.export.engine import EngineOptions
    from edgecount.export.options import ExportOptions

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


def _stated(given: dict[str, Any]) -> dict[str, str]:
    """What the user says of the model, by the manifest's field."""
    flags = {"name": "name", "version": "model_version", "licence": "licence"}
    return {field: given[flag] for field, flag in flags.items() if given[flag]}


def _description(given: dict[str, Any]) -> Description | None:
    from edgecount.export.source import Description

    if not any(given[name] for name in _DESCRIBING):
        return None
    names = (*_DESCRIBING, "stride", "unit", "mean", "scale", "channels", "multiple", "threshold")
    return Description(**{name: given[name] for name in names})


def _table(report: dict[str, Any]) -> list[str]:
    """Lines for people: a file each."""
    lines = [f"{'':24}{'MB':>8}{'counts differ by':>19}{'bias':>8}{'points':>9}{'ms':>9}   verdict"]
    for file in report["files"]:
        proof = file["proof"]
        numbers = f"{'-':>19}{'-':>8}{'-':>9}"
        if proof:
            matched = proof["points_matched"]
            points = "-" if matched is None else f"{matched:.1%}"
            share = f"{proof['relative']:.2%} of {proof['mean_count']:.1f}"
            numbers = f"{share:>19}{proof['bias']:+8.2f}{points:>9}"
        latency = file.get("latency_ms")
        speed = f"{latency['p50']:.1f}" if latency else "-"
        where = f", {file['latency_on']}" if file["engine"] and latency else ""
        lines.append(
            f"{file['file']:24}{file['bytes'] / 1e6:8.2f}{numbers}{speed:>9}   {file['verdict']}"
            f"{where}"
        )
        if file["engine"] and file["engine"]["reason"]:
            lines.append(f"{'':24}  {file['engine']['reason']}")
        kept = len(file.get("kept") or ())
        if kept:
            lines.append(f"{'':24}  {kept} nodes keep a higher precision")
    if report["no_engine"]:
        lines.append(f"{'no engine':24}  {report['no_engine']}")
    return lines


class _Bars:
    """A bar for each part of the work, one after the other."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._what = ""
        self._bar: Progress | None = None

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def report(self, what: str, done: int, total: int) -> None:
        """So far is this part."""
        if what != self._what or self._bar is None:
            self._end()
            self._what, self._bar = what, Progress(total, "step", what, shown=self._shown)
            self._bar.__enter__()
        self._bar.step_to(done)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
