"""`edgecount eval`: a model against annotated images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._eval.folds import mean_line, mean_of_folds, read_folds
from edgecount.cli._eval.kernels import kernels_option
from edgecount.cli._eval.open import OpenModel
from edgecount.cli._eval.sets import count_images, read_sets, split_arguments
from edgecount.cli._eval.summary import lines_of
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
    refuse_unwritable,
    zoom_option,
)
from edgecount.cli._types.readers import AUTO, readers_help, set_options

if TYPE_CHECKING:
    from edgecount import EdgeCounter
    from edgecount.train.data.readers import Choice
    from edgecount.train.data.sample import Sample
    from edgecount.train.evaluate.evaluation import Evaluation
    from edgecount.train.targets.kernels import Kernels


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
        import edgecount.train.evaluate.evaluation  # noqa: F401
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
    if report:
        _check_report(report)
    measured = {model: _Measured() for model in plan}
    failures = _Failures()
    try:
        with ExitStack() as stack:
            # Before anything is measured, which one that cannot be opened would end.
            opened = {
                model: stack.enter_context(closing(OpenModel(model, ranked, **engine)))
                for model in plan
            }
            for model, sets in plan.items():
                with closing(opened[model]) as counters:
                    _measure(
                        counters,
                        sets,
                        measured[model],
                        failures,
                        kernels=kernels,
                        report=report,
                        shown=not as_json,
                    )
    finally:  # whatever ends it, such as a full disk: what was measured took its time
        if any(one.sets for one in measured.values()):
            click.echo(_text(measured, plan, folds, as_json=as_json, per_image=per_image))
    for one in measured.values():
        if one.page and not as_json:
            click.echo(f"\n{printable(str(one.page))}")
    ctx.exit(FAILED if failures.samples else 0)


@dataclass
class _Measured:
    """Hold what was measured of a model so far.

    Attributes:
        sets: results by set.
        asked: the coverage that its interval is fitted to; None: it has none.
        page: the report.
    """

    sets: dict[str, Evaluation] = field(default_factory=dict)
    asked: float | None = None
    page: Path | None = None


class _Failures:
    """Images that cannot be measured: each is told once, whichever models are to count it.

    Attributes:
        samples: the ids of their samples.
    """

    def __init__(self) -> None:
        self.samples: set[int] = set()

    def leave_out(self, sample: Sample, error: Exception) -> None:
        """Print why an image is left out."""
        if id(sample) not in self.samples:
            report_failure(str(sample.path), error)
        self.samples.add(id(sample))

    def others(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return the samples that were measured."""
        return [sample for sample in samples if id(sample) not in self.samples]


def _measure(
    model: OpenModel,
    sets: Mapping[str, list[Sample]],
    into: _Measured,
    failures: _Failures,
    *,
    kernels: Kernels | None,
    report: Path | None,
    shown: bool,
) -> None:
    """Measure a model on its sets, and write the report if one is asked for."""
    from edgecount.train.evaluate.evaluation import evaluate_counter

    counter = model.counter
    with Progress(count_images(sets), "image", f"eval {model.name}", shown=shown) as progress:
        interval = counter.manifest.postprocess.interval
        into.asked = interval.coverage if interval else None
        for name, samples in sets.items():
            into.sets[name] = evaluate_counter(
                counter,
                samples,
                candidates=model.candidates,
                kernels=kernels,
                progress=progress.step,
                on_error=failures.leave_out,
            )
        if report:
            counted = {name: failures.others(samples) for name, samples in sets.items()}
            into.page = _write_report(report, into.sets, counted, counter)


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
    measured: Mapping[str, _Measured],
    plan: Mapping[str, Mapping[str, list[Sample]]],
    folds: bool,
    *,
    as_json: bool,
    per_image: bool,
) -> str:
    """Return the numbers of all models as a table for people, or as JSON.

    The mean of folds is left out where not all of the plan was measured.
    """
    summaries = {
        model: {name: _summary(one, per_image) for name, one in found.sets.items()}
        for model, found in measured.items()
        if found.sets
    }
    whole = all(len(measured[model].sets) == len(sets) for model, sets in plan.items())
    means = {"mean_of_folds": mean_of_folds(summaries)} if folds and whole else {}
    if sum(map(len, plan.values())) > 1:
        if as_json:
            return to_json({"models": summaries, **means})
        return text_of([*comparison(summaries), *map(mean_line, means.values())])
    ((model, by_set),) = summaries.items()
    (alone,) = by_set.values()
    return to_json(alone) if as_json else text_of(lines_of(alone, measured[model].asked))


def _summary(evaluation: Evaluation, per_image: bool) -> dict[str, Any]:
    images = {"images": [image.to_dict() for image in evaluation.images]} if per_image else {}
    return evaluation.summary() | images


def _check_report(folder: Path) -> None:
    """Refuse a report that cannot be written, before the images are counted.

    Raises:
        OutputError: the folder takes no file.
        MissingExtraError: a package is not installed.
    """
    from edgecount.train.report import check_packages

    check_packages()
    refuse_unwritable(folder / "report.html", "--report")


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
