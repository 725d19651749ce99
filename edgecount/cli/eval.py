"""`edgecount eval`: a model against annotated images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgecount.cli._options import json_option
from edgecount.cli._progress import Progress


@click.command(name="eval")
@click.argument("model")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--reader",
    required=True,
    metavar="shanghaitech|mall|voc",
    help="Layout of the set in DATA.",
)
@click.option("--split", help="Only the held-out images of this list, such as shanghaitech_b.")
@click.option("--backend", default="auto", show_default=True, help="Engine to run the model on.")
@json_option
def evaluate(
    model: str, data: Path, reader: str, split: str | None, backend: str, as_json: bool
) -> None:
    """Count the annotated images in DATA with MODEL (a bundled name or a file).

    Prints the error of the fused count, of the density's and of the points', and how well the
    points match the heads (within half the diagonal of a head's box).
    """
    from edgecount import EdgeCounter
    from edgecount.errors import MissingExtraError

    try:
        from edgecount.train.data.readers import read_samples
        from edgecount.train.data.splits import split as hold_out
        from edgecount.train.evaluation import evaluate_counter
    except ImportError as error:
        raise MissingExtraError(str(error.name), "train", "to evaluate models") from error
    samples = read_samples(reader, data)
    if split:
        samples = hold_out(samples, split)[1]
    with (
        EdgeCounter(model, backend=backend) as counter,
        Progress(len(samples), "image", "eval", shown=not as_json) as progress,
    ):
        report = evaluate_counter(counter, samples, progress=progress.step)
    click.echo(json.dumps(report) if as_json else _table(report))


def _table(report: dict[str, Any]) -> str:
    lines = [f"{'':14}{'MAE':>9}{'RMSE':>9}{'NAE':>8}{'bias':>9}   images"]
    lines += [
        f"{name:14}{m['mae']:9.2f}{m['rmse']:9.2f}{m['nae']:8.3f}{m['bias']:+9.2f}"
        f"{m['images']:9.0f}"
        for name, m in report.items()
        if name != "points"
    ]
    if "points" in report:
        values = report["points"]
        lines.append(
            f"points        precision {values['precision']:.3f}  recall {values['recall']:.3f}  "
            f"F1 {values['f1']:.3f}"
        )
    return "\n".join(lines)
