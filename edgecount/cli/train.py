"""`edgecount train`: a training run from a config."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from edgecount.cli._progress import Progress, echo


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the checkpoint and the log.",
)
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; all cores by default.")
def train(config: Path, out: Path, resume: bool, threads: int | None) -> None:
    """Train the network that CONFIG (YAML) describes.

    The folder gets last.pt, renewed every hundred steps, and log.jsonl. Ctrl-C loses at most a
    hundred steps: go on with --resume.
    """
    from edgecount.errors import MissingExtraError

    try:
        import torch

        from edgecount.train.config import load_config
        from edgecount.train.loop import LOG_EVERY
        from edgecount.train.loop import train as run
    except ImportError as error:
        raise MissingExtraError(str(error.name), "train", "to train") from error
    settings = load_config(config)
    if threads:
        torch.set_num_threads(threads)
    with Progress(settings.steps // LOG_EVERY, "x100 steps", settings.model) as progress:

        def report(record: dict[str, Any]) -> None:
            echo(_line(record), err=True)
            if "validation" not in record:
                progress.step()

        checkpoint = run(settings, out, resume=resume, report=report)
    click.echo(checkpoint, file=sys.stdout)


def _line(record: dict[str, Any]) -> str:
    if "validation" in record:
        return (
            f"step {record['step']}  {record['validation']}: MAE {record['mae']:.2f}  "
            f"RMSE {record['rmse']:.2f}  bias {record['bias']:+.2f}"
        )
    terms = "  ".join(f"{k} {v:.3f}" for k, v in record.items() if k != "step")
    return f"step {record['step']}  {terms}"
