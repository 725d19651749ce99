"""`edgecount train`: a training run from a config."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from edgecount.cli._shell.extras import needs_train
from edgecount.cli._shell.progress import Bars, Progress, echo
from edgecount.cli._train.listing import listing
from edgecount.cli._types.options import folder_option, json_option, threads_option
from edgecount.cli._types.paths import UserPath


@click.command()
@click.argument("config", type=UserPath(), required=False)
@folder_option("--out", help="Folder to write the checkpoints, the log and the report to.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace a value of the config, such as steps=1000, validation_images=100 or, in a "
    "section, model.width=0.5; an empty value takes the default (backbone_weights= starts from "
    "random weights). Repeat the option for more values.",
)
@click.option("--resume", is_flag=True, help="Continue from the folder's last checkpoint.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Device to train on; auto takes the GPU if there is one.",
)
@threads_option
@click.option(
    "--list",
    "listed",
    is_flag=True,
    help="List the configs that come with edgecount: network, sets, the paper's table, and what "
    "of it is not here; with --json for programs.",
)
@json_option
def train(
    config: Path | None,
    out: Path | None,
    changes: tuple[str, ...],
    resume: bool,
    device: str,
    threads: int | None,
    listed: bool,
    as_json: bool,
) -> None:
    """Train the network that CONFIG describes: a YAML file, or a name that --list shows.

    The folder gets last.pt (to resume from), best.pt (to export), log.jsonl and report/. Ctrl-C
    loses at most the steps since the last line of the log; continue with --resume.

    On several GPUs or machines, run torchrun --nproc-per-node 4 -m edgecount train CONFIG --out DIR
    """
    if listed:
        click.echo(listing(as_json))
        return
    if as_json:
        raise click.UsageError("--json is for --list")
    if config is None:
        raise click.UsageError("expected CONFIG: a YAML file, or a name that --list shows")
    if out is None:
        raise click.UsageError("expected --out DIR, the folder of the run")
    with needs_train("to train"):
        import torch

        from edgecount.train.config import find_config, load_config
        from edgecount.train.loop import train as run
    settings = load_config(find_config(config), changes)
    if threads:
        torch.set_num_threads(threads)
    first = os.environ.get("RANK", "0") == "0"
    name = settings.model.name
    with Progress(settings.steps, "step", name, shown=first) as progress, Bars(first) as bars:

        def report(record: dict[str, Any]) -> None:
            echo(_line(record), err=True)
            if "validation" not in record:
                progress.step_to(int(record["step"]))

        checkpoint = run(
            settings, out, resume=resume, device=device, report=report, progress=bars.report
        )
    if first:
        click.echo(checkpoint, file=sys.stdout)


def _line(record: dict[str, Any]) -> str:
    if "validation" in record:
        # Not that of the trained model, which is fitted to its points: said, lest they be compared.
        at = f"  at threshold {record['threshold']:g}" if "threshold" in record else ""
        return (
            f"step {record['step']}  {record['validation']}: MAE {record['mae']:.2f}  "
            f"RMSE {record['rmse']:.2f}  bias {record['bias']:+.2f}{at}"
        )
    terms = "  ".join(f"{k} {v:.4g}" for k, v in record.items() if k != "step")
    return f"step {record['step']}  {terms}"
