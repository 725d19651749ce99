"""`edgecount eval`: a model against annotated images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._shell.extras import needs_train
from edgecount.cli._shell.failures import report_failure
from edgecount.cli._shell.group import FAILED
from edgecount.cli._shell.output import to_json
from edgecount.cli._shell.progress import Progress
from edgecount.cli._types.options import (
    backend_option,
    damaged_option,
    folder_option,
    json_option,
    max_side_option,
    number_option,
    pixels_option,
    reader_option,
    reading,
    side_limit,
)
from edgecount.cli._types.paths import UserPath

if TYPE_CHECKING:
    from edgecount import EdgeCounter
    from edgecount.train.data.sample import Sample

_CHECKPOINT = ".pt"
_ROWS = (("count", "count"), ("density_count", "from density"), ("peak_count", "from points"))


@click.command(name="eval")
@click.argument("model")
@click.argument("data", type=UserPath())
@reader_option
@click.option(
    "--split",
    metavar="NAME",
    help="Use only the held-out images of this list, such as shanghaitech_b.  [default: all]",
)
@backend_option
@max_side_option
@number_option(
    "--zoom",
    "Enlarge dense regions up to N times and count them again (RAZ-Net checkpoints).",
    default=0,
    least=0,
    most=2,
)
@folder_option(
    "--report",
    help="Write report.html to this folder, with charts and the worst and best images; replaces "
    "an older report.",
)
@damaged_option
@pixels_option
@json_option
@click.option("--per-image", is_flag=True, help="With --json: add the numbers of every image.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    model: str,
    data: Path,
    *,
    reader: str,
    split: str | None,
    backend: str,
    max_side: int | str | None,
    zoom: int,
    report: Path | None,
    accept_damaged: bool,
    max_pixels: int,
    as_json: bool,
    per_image: bool,
) -> None:
    """Count the annotated images in DATA with MODEL and print its errors.

    MODEL is a bundled name, an .onnx file, a folder written by edgecount export, or a checkpoint
    (.pt) of edgecount train.

    An image that cannot be read is reported on stderr and left out of the numbers; the exit code is
    1 then.

    A point matches a head within half the diagonal of the head's box, and within 4, 8 and 16
    pixels. GAME is the sum of the errors over 1, 4, 16 and 64 equal regions of the image. The
    interval's width is given as a share of the count.
    """
    if per_image and not as_json:
        raise click.UsageError("--per-image: expected with --json, got a table for people")
    with needs_train("to evaluate models"):
        from edgecount.train.data.readers import read_samples
        from edgecount.train.data.splits import split as hold_out
        from edgecount.train.evaluate.evaluation import evaluate_counter
    samples = reading(read_samples(reader, data), accept_damaged, max_pixels)
    if split:
        samples = hold_out(samples, split)[1]
    page: Path | None = None
    failed = set()

    def leave_out(sample: Sample, error: Exception) -> None:
        failed.add(id(sample))
        report_failure(str(sample.path), error)

    with (
        _open(model, backend, max_side, zoom) as counter,
        Progress(len(samples), "image", "eval", shown=not as_json) as progress,
    ):
        evaluation = evaluate_counter(counter, samples, progress=progress.step, on_error=leave_out)
        samples = [sample for sample in samples if id(sample) not in failed]
        if report:
            from edgecount.train.report import write_report

            name = split or data.resolve().name
            page = write_report(
                report,
                {name: evaluation},
                counter=counter,
                samples={name: samples},
                title=f"{counter.manifest.name} on {name}",
            )
        spec = counter.manifest.postprocess.interval
    summary = evaluation.summary()
    if as_json:
        images = {"images": [image.to_dict() for image in evaluation.images]} if per_image else {}
        click.echo(to_json(summary | images))
        ctx.exit(FAILED if failed else 0)
    click.echo("\n".join(_table(summary, asked=spec.coverage if spec else None)))
    if page:
        click.echo(f"\n{page}")
    ctx.exit(FAILED if failed else 0)


def _open(model: str, backend: str, max_side: int | str | None, zoom: int) -> EdgeCounter:
    """Open a counter with the model or checkpoint that MODEL names."""
    from edgecount import EdgeCounter
    from edgecount.errors import ConfigError

    options = side_limit(max_side)
    if Path(model).suffix != _CHECKPOINT:
        if zoom:
            raise ConfigError(f"--zoom: expected a checkpoint (.pt) as MODEL, got {model}")
        return EdgeCounter(model, backend=backend, **options)
    if backend != "auto":
        raise ConfigError(
            f"--backend: a checkpoint runs in PyTorch, expected auto, got {backend}: export it "
            "first (edgecount export) to measure it on another engine"
        )
    with needs_train("to evaluate checkpoints"):
        from edgecount.train.open_checkpoint import open_checkpoint
    return open_checkpoint(Path(model), zoom=zoom, **options)


def _table(summary: Mapping[str, Any], asked: float | None) -> Iterator[str]:
    """Yield lines for people; ``asked`` is the coverage that the interval is fitted to."""
    yield f"{summary['count']['images']:.0f} images"
    yield f"{'':16}{'MAE':>9}{'RMSE':>9}{'NAE':>8}{'bias':>9}"
    for key, label in _ROWS:
        if key in summary:
            m = summary[key]
            yield f"{label:16}{m['mae']:9.2f}{m['rmse']:9.2f}{m['nae']:8.3f}{m['bias']:+9.2f}"
    if asked is not None and "interval" in summary:
        found = summary["interval"]
        yield (
            f"{'interval':18}{asked:.0%} asked for, {found['coverage']:.1%} of the images inside, "
            f"{found['width']:.2f} of the count wide"
        )
    yield from _points_table(summary)
    yield from _regions_table(summary)
    yield ""
    yield f"{'by density':16}{'images':>9}{'MAE':>9}{'NAE':>8}{'bias':>9}"
    for level in summary["levels"]:
        low, high = level["lowest"], level["highest"]
        people = f"{low:.0f} people" if low == high else f"{low:.0f} to {high:.0f} people"
        yield (
            f"{people:18}{level['images']:7.0f}{level['mae']:9.2f}{level['nae']:8.3f}"
            f"{level['bias']:+9.2f}"
        )


def _points_table(summary: Mapping[str, Any]) -> Iterator[str]:
    if "points" not in summary:
        return
    yield ""
    yield f"{'points within':16}{'precision':>11}{'recall':>9}{'F1':>8}"
    at = {f"{radius} px": values for radius, values in summary["points_at"].items()}
    for label, values in {"the head's box": summary["points"], **at}.items():
        yield f"{label:16}{values['precision']:11.3f}{values['recall']:9.3f}{values['f1']:8.3f}"


def _regions_table(summary: Mapping[str, Any]) -> Iterator[str]:
    if "game" in summary:
        yield ""
        yield f"{'':16}" + "".join(f"{f'GAME({n})':>9}" for n in range(len(summary["game"])))
        first = "of density" if "density_count" in summary else "of points"
        rows = [(first, summary["game"]), ("of points", summary.get("game_of_points"))]
        for label, values in rows:
            if values:
                yield f"{label:16}" + "".join(f"{value:9.2f}" for value in values)
    words = [
        f"{label} {summary[key]:.{digits}f}{unit}"
        for key, label, digits, unit in (
            ("ssim", "SSIM", 3, ""),
            ("psnr", "PSNR", 2, " dB"),
            ("false_recognition", "false recognition", 4, ""),
        )
        if key in summary
    ]
    if words:
        yield f"{'density map':16}" + "   ".join(words)
