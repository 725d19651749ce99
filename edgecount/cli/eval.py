"""`edgecount eval`: a model against annotated images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount._options import check_heads
from edgecount.cli._eval.folds import mean_line, mean_of_folds, read_folds
from edgecount.cli._eval.kernels import kernels_option
from edgecount.cli._eval.sets import count_images, read_sets, split_arguments
from edgecount.cli._eval.table import comparison
from edgecount.cli._shell.extras import needs_train
from edgecount.cli._shell.failures import report_failure
from edgecount.cli._shell.group import FAILED
from edgecount.cli._shell.output import printable, text_of, to_json
from edgecount.cli._shell.progress import Progress
from edgecount.cli._types.options import (
    backend_option,
    damaged_option,
    device_option,
    folder_option,
    json_option,
    max_side_option,
    number_option,
    pixels_option,
    precision_option,
    reading,
    side_limit,
    zoom_option,
)
from edgecount.cli._types.readers import AUTO, readers_help, set_options

if TYPE_CHECKING:
    from edgecount import EdgeCounter
    from edgecount.manifest import IntervalSpec
    from edgecount.train.data.readers import Choice
    from edgecount.train.data.sample import Sample
    from edgecount.train.evaluate.evaluation import Evaluation
    from edgecount.train.targets.kernels import Kernels

_CHECKPOINT = ".pt"
_ROWS = (("count", "count"), ("density_count", "from density"), ("peak_count", "from points"))


@click.command(name="eval", epilog=readers_help())
@click.argument("arguments", nargs=-1, required=True, metavar="MODEL... DATA")
@set_options
@click.option(
    "--split",
    metavar="NAME",
    help="Use only the held-out images of this list, such as shanghaitech_b; of a run, the set of "
    "this name.  [default: all]",
)
@click.option(
    "--folds",
    is_flag=True,
    help="Take the arguments as runs of all folds of a set (config key folds), measure each on "
    "the part that it held out, and give the means of their errors.",
)
@number_option("--images", "Measure on at most N images of a set, evenly chosen.  [default: all]")
@backend_option
@device_option
@precision_option
@max_side_option
@zoom_option
@click.option(
    "--average-precision",
    "ranked",
    is_flag=True,
    help="Rank head points and boxes by their score, without the model's threshold, and print the "
    "average precision; every image is counted twice.",
)
@kernels_option
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
    arguments: tuple[str, ...],
    *,
    reader: str,
    unannotated: Choice | None,
    split: str | None,
    folds: bool,
    images: int | None,
    ranked: bool,
    kernels: Kernels | None,
    report: Path | None,
    accept_damaged: bool,
    max_pixels: int,
    as_json: bool,
    per_image: bool,
    **engine: Any,
) -> None:
    """Count the annotated images in DATA with MODEL and print its errors.

    MODEL is a bundled name, an .onnx file, a folder written by edgecount export, a checkpoint
    (.pt) of edgecount train, or the folder of a run, whose best weights are meant. Several models
    give a table with a row for each. DATA is an annotated set, or the folder of a run, whose
    held-out sets are meant; a run alone is measured on its own. With --folds, all arguments are
    runs.

    An image that cannot be read is reported on stderr and left out of the numbers; the exit code is
    1 then.

    A point matches a head within half the diagonal of the head's box (and, more strictly, half its
    short side), and within 4, 8 and 16 pixels. Average precision is COCO's, without its limit of
    100 candidates: of boxes over IoUs of 0.5 to 0.95, of points over these distances. GAME is the
    sum of the errors over 1, 4, 16 and 64 equal regions of the image. The interval's width is given
    as a share of the count.
    """
    if per_image and not as_json:
        raise click.UsageError("--per-image: expected with --json, got a table for people")
    with needs_train("to evaluate models"):
        from edgecount.train.evaluate.evaluation import evaluate_counter
    plan = {
        model: {
            name: reading(samples, accept_damaged, max_pixels) for name, samples in sets.items()
        }
        for model, sets in _plan(
            arguments, folds, reader=reader, unannotated=unannotated, split=split, images=images
        ).items()
    }
    if report and (folds or len(plan) > 1):
        raise click.UsageError(f"--report: expected one MODEL, got {len(plan)}")
    results: dict[str, dict[str, Evaluation]] = {}
    page: Path | None = None
    spec: IntervalSpec | None = None
    failed = set()

    def leave_out(sample: Sample, error: Exception) -> None:
        if id(sample) not in failed:  # by another model
            report_failure(str(sample.path), error)
        failed.add(id(sample))

    for model, sets in plan.items():
        with (
            _open(model, **engine) as counter,
            _candidates(counter if ranked else None, model, **engine) as candidates,
            Progress(count_images(sets), "image", f"eval {model}", shown=not as_json) as progress,
        ):
            results[model] = {
                name: evaluate_counter(
                    counter,
                    samples,
                    candidates=candidates,
                    kernels=kernels,
                    progress=progress.step,
                    on_error=leave_out,
                )
                for name, samples in sets.items()
            }
            spec = counter.manifest.postprocess.interval
            if report:
                measured = {
                    name: [sample for sample in samples if id(sample) not in failed]
                    for name, samples in sets.items()
                }
                page = _write_report(report, results[model], measured, counter)
    asked = spec.coverage if spec else None
    click.echo(_text(results, asked, folds=folds, as_json=as_json, per_image=per_image))
    if page and not as_json:
        click.echo(f"\n{printable(str(page))}")
    ctx.exit(FAILED if failed else 0)


def _plan(
    arguments: Sequence[str],
    folds: bool,
    *,
    reader: str,
    unannotated: Choice | None,
    split: str | None,
    images: int | None,
) -> Mapping[str, Mapping[str, list[Sample]]]:
    """Return the samples that each model is measured on, by the name of their set."""
    if folds:
        if split or reader != AUTO:
            raise click.UsageError("--folds: the runs name their images: no --split, no --reader")
        return read_folds(arguments, images)
    models, data = split_arguments(arguments)
    sets = read_sets(data, reader=reader, unannotated=unannotated, split=split, images=images)
    return dict.fromkeys(models, sets)


def _text(
    results: Mapping[str, Mapping[str, Evaluation]],
    asked: float | None,
    *,
    folds: bool,
    as_json: bool,
    per_image: bool,
) -> str:
    """Return the numbers of all models as a table for people, or as JSON."""
    summaries = {
        model: {name: _summary(one, per_image) for name, one in by_set.items()}
        for model, by_set in results.items()
    }
    single = sum(map(len, results.values())) == 1
    alone = next(iter(next(iter(summaries.values())).values()))
    means = {"mean_of_folds": mean_of_folds(summaries)} if folds else {}
    if as_json:
        return to_json(alone if single else {"models": summaries, **means})
    lines = _table(alone, asked=asked) if single else comparison(summaries)
    return text_of([*lines, *map(mean_line, means.values())])


def _summary(evaluation: Evaluation, per_image: bool) -> dict[str, Any]:
    images = {"images": [image.to_dict() for image in evaluation.images]} if per_image else {}
    return evaluation.summary() | images


def _write_report(
    folder: Path,
    evaluations: Mapping[str, Evaluation],
    sets: Mapping[str, list[Sample]],
    counter: EdgeCounter,
) -> Path:
    from edgecount.train.report import write_report

    return write_report(
        folder,
        evaluations,
        counter=counter,
        samples=sets,
        title=f"{counter.manifest.name} on {', '.join(sets)}",
    )


def _candidates(
    of: EdgeCounter | None, model: str, **engine: Any
) -> AbstractContextManager[EdgeCounter | None]:
    """Open the model again with a threshold near 0, if the candidates of its counter are wanted."""
    if of is None:
        return nullcontext()
    check_heads("--average-precision", of.manifest)
    from edgecount.train.evaluate.candidates import LEAST_SCORE

    return _open(model, **engine, threshold=LEAST_SCORE)


def _open(
    model: str,
    *,
    backend: str,
    device: int | tuple[int, ...] | None,
    precision: str,
    max_side: int | str | None,
    **options: Any,
) -> EdgeCounter:
    """Open a counter with the model or checkpoint that MODEL names."""
    from edgecount import EdgeCounter
    from edgecount.errors import ConfigError

    options |= side_limit(max_side)
    if Path(model).suffix != _CHECKPOINT:
        return EdgeCounter(model, backend=backend, device=device, precision=precision, **options)
    if backend != "auto":
        raise ConfigError(
            f"--backend: a checkpoint runs in PyTorch, expected auto, got {backend}: export it "
            "first (edgecount export) to measure it on another engine"
        )
    if device is not None:
        raise ConfigError(
            f"--device: a checkpoint runs on the first GPU, or the CPU, got {device}: set "
            "CUDA_VISIBLE_DEVICES, or export it first (edgecount export)"
        )
    if precision not in ("auto", "float32"):
        raise ConfigError(
            f"--precision: a checkpoint runs in float32, expected auto, got {precision}: export it "
            "first (edgecount export) to measure another"
        )
    with needs_train("to evaluate checkpoints"):
        from edgecount.train.open_checkpoint import open_checkpoint
    return open_checkpoint(Path(model), **options)


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
    yield from _groups_table(summary)
    yield ""
    yield f"{'by density':16}{'images':>9}{'MAE':>9}{'NAE':>8}{'bias':>9}"
    for level in summary["levels"]:
        low, high = level["lowest"], level["highest"]
        people = f"{low:.0f} people" if low == high else f"{low:.0f} to {high:.0f} people"
        yield (
            f"{people:18}{level['images']:7.0f}{level['mae']:9.2f}{level['nae']:8.3f}"
            f"{level['bias']:+9.2f}"
        )


def _groups_table(summary: Mapping[str, Any]) -> Iterator[str]:
    if "groups" not in summary:
        return
    wide = max(16, *(len(name) + 2 for name in summary["groups"]))
    yield ""
    yield f"{'by group':{wide}}{'images':>9}{'MAE':>9}{'RMSE':>9}{'NAE':>8}{'bias':>9}"
    rows = {**summary["groups"], "mean of groups": summary["mean_of_groups"]}
    for name, m in rows.items():
        images = f"{m['images']:9.0f}" if "images" in m else " " * 9
        errors = f"{m['mae']:9.2f}{m['rmse']:9.2f}{m['nae']:8.3f}{m['bias']:+9.2f}"
        yield f"{name:{wide}}{images}{errors}"


def _points_table(summary: Mapping[str, Any]) -> Iterator[str]:
    if "points" not in summary:
        return
    yield ""
    yield f"{'points within':18}{'precision':>9}{'recall':>9}{'F1':>8}"
    rows = {"the head's box": summary["points"]}
    if "points_short_side" in summary:
        rows["half a short side"] = summary["points_short_side"]
    rows |= {f"{radius} px": values for radius, values in summary["points_at"].items()}
    for label, values in rows.items():
        yield f"{label:18}{values['precision']:9.3f}{values['recall']:9.3f}{values['f1']:8.3f}"
    if "localisation" in summary:
        found = summary["localisation"]
        text = f"{'mean of 1-100 px':18}{found['precision']:9.3f}{found['recall']:9.3f}"
        if "error" in found:
            text += f"   {found['error']:.2f} px off in the mean of those within 16 px"
        yield text
    yield from _precision_table(summary.get("average_precision", {}))


def _precision_table(ranked: Mapping[str, Any]) -> Iterator[str]:
    if not ranked:
        return
    yield ""
    points = ranked["points"]
    yield f"{'average precision':18}{'AP':>9}{'recall':>9}"
    if "boxes" in ranked:
        boxes = ranked["boxes"]
        yield (
            f"{'boxes, IoU .5:.95':18}{boxes['ap']:9.3f}{boxes['ar']:9.3f}   AP50 "
            f"{boxes['ap50']:.3f}   AP75 {boxes['ap75']:.3f}"
        )
    yield f"{'points, 4-16 px':18}{points['ap']:9.3f}{points['ar']:9.3f}"
    labels = {"box": "the head's box", "short_side": "half a short side"}
    for rule, values in points.items():
        if rule not in ("ap", "ar"):
            label = labels.get(rule, f"{rule} px")
            yield f"{label:18}{values['ap']:9.3f}{values['recall']:9.3f}"


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
            ("false_recognition_of_truth", "of a right map", 4, ""),
        )
        if key in summary
    ]
    if words:
        yield f"{'density map':16}" + "   ".join(words)
