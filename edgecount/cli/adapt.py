"""`edgecount adapt`: a model fine-tuned to one's own camera."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecount.cli._data.read import read_annotated
from edgecount.cli._shell.extras import needs_train
from edgecount.cli._shell.output import printable, to_json
from edgecount.cli._shell.progress import Progress
from edgecount.cli._types.options import (
    damaged_option,
    json_option,
    new_file_option,
    number_option,
    pixels_option,
    reading,
    refuse_existing,
    threads_option,
)
from edgecount.cli._types.paths import UserPath
from edgecount.cli._types.readers import readers_help, set_options

if TYPE_CHECKING:
    from edgecount.train.data.readers import Choice


@click.command(epilog=readers_help())
@click.argument("model")
@click.argument("data", type=UserPath())
@set_options
@new_file_option("adapted.onnx", "ONNX file to write.")
@number_option("--steps", "Training steps.", default=200)
@click.option(
    "--holdout",
    type=float,
    metavar="SHARE",
    default=0.3,
    show_default=True,
    help="Share of the images, 0 to 1, that is kept from training to measure the model.",
)
@click.option("--rate", type=float, default=1e-3, show_default=True, help="Highest learning rate.")
@number_option(
    "--seed", "Seed of the choice of held-out images and of the training.", default=0, least=0
)
@threads_option
@damaged_option
@pixels_option
@json_option
def adapt(
    *,
    model: str,
    data: Path,
    reader: str,
    unannotated: Choice | None,
    out: Path,
    overwrite: bool,
    steps: int,
    holdout: float,
    rate: float,
    seed: int,
    threads: int | None,
    accept_damaged: bool,
    max_pixels: int,
    as_json: bool,
) -> None:
    """Fine-tune MODEL on the 10 to 50 annotated images in DATA.

    MODEL is a bundled name, an .onnx file of edgecount export, or a checkpoint (.pt) of edgecount
    train. A share of the images is held out; the file is written only if the model counts these
    better than before.
    """
    from edgecount.errors import EdgeCountError

    refuse_existing(out, overwrite)
    with needs_train("to adapt models"):
        import torch

        from edgecount.export.source.from_torch import export_onnx
        from edgecount.train.adapt import adapt as run
    if threads:
        torch.set_num_threads(threads)
    samples = read_annotated(reader, data, unannotated)
    samples = reading(samples, accept_damaged, max_pixels)
    with Progress(steps, "step", "adapt", shown=not as_json) as bar:
        done = run(
            model,
            samples,
            steps=steps,
            holdout=holdout,
            rate=rate,
            seed=seed,
            progress=bar.step,
        )
    if not done.better:
        raise EdgeCountError(
            f"not written: on {len(done.held_out)} held-out images the mean error went from "
            f"{done.before:.2f} to {done.after:.2f}. Check the annotations with edgecount data "
            "check, add images, or lower --rate"
        )
    export_onnx(done.network, done.manifest, out)
    if as_json:
        record = {
            "file": str(out),
            "before": done.before,
            "after": done.after,
            "trained": done.trained,
            "held_out": list(done.held_out),
        }
        click.echo(to_json(record))
        return
    click.echo(
        f"mean error on {len(done.held_out)} held-out images: {done.before:.2f} before, "
        f"{done.after:.2f} after"
    )
    size = f"{out.stat().st_size / 1e6:.1f} MB"
    click.echo(printable(f"{out}  {done.manifest.name}  {size}"))
