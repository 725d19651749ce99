"""The relay's command line: `scripts/relay`."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from edgecount._files import check_writable, write_whole
from edgecount.errors import EdgeCountError
from edgecount.train.config import FOLDER, find_config, load_config
from edgecount.train.relay.deadline import Deadline, deadline
from edgecount.train.relay.stages import Standing, find_stages, standing_of

RECIPE = "edgecount-s-relay"
_FOLDER = click.Path(path_type=Path, file_okay=False)

recipe_argument = click.argument("recipe", default=RECIPE)
runs_option = click.option(
    "--runs",
    type=_FOLDER,
    default=Path("runs/relay"),
    show_default=True,
    help="Folder of the runs.",
)
configs_option = click.option(
    "--configs", type=_FOLDER, default=FOLDER, help="Folder of the configs; default: edgecount's."
)
results_option = click.option(
    "--results",
    type=_FOLDER,
    default=Path("benchmarks/results/relay"),
    show_default=True,
    help="Folder that gets the log, curves and validation of each finished stage.",
)
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def relay() -> None:
    """Train a recipe in stages, an hour here and an hour there.

    A recipe is a row of configs, RECIPE-1.yaml, RECIPE-2.yaml and so on; each stage starts from
    the weights of the one before. `start` begins or takes up whatever comes next, on any machine
    that has the data ($EDGECOUNT_DATA) and the folder of runs. A run that was stopped goes on
    exactly.
    """


@relay.command()
@recipe_argument
@click.option("--until", metavar="HH:MM", help="Stop before this time of the machine's clock.")
@click.option("--minutes", type=float, help="Stop before so many minutes have passed.")
@runs_option
@results_option
@configs_option
@threads_option
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def start(
    recipe: str,
    until: str | None,
    minutes: float | None,
    runs: Path,
    results: Path,
    configs: Path,
    threads: int,
    device: str,
) -> None:
    """Start or resume RECIPE, stage by stage, until the time is up or all is done.

    Ctrl-C loses the steps since the last line of the log. Exit code 0, done or not: `status` says.
    """
    stop = deadline(until, minutes)
    stages = find_stages(recipe, runs, configs)
    _use_threads(threads)
    from edgecount.train.relay.run import go_on, only_one

    def say(message: str) -> None:
        click.echo(message, err=True)

    with only_one(runs):
        done = go_on(
            stages,
            results,
            stop,
            device=device,
            say=say,
            report=lambda record: say(_line(record, stop)),
        )
    if done:
        say(f"{recipe}: all {len(stages)} stages are done")


@relay.command()
@recipe_argument
@runs_option
@results_option
@configs_option
def status(recipe: str, runs: Path, results: Path, configs: Path) -> None:
    """Show how far each stage of RECIPE is, and what comes next."""
    from edgecount.train.relay.run import is_kept

    upcoming = ""
    for stage in find_stages(recipe, runs, configs):
        done = is_kept(stage, results)
        standing = standing_of(stage)
        click.echo(f"{stage.name}: {_standing(standing, done=done)}")
        upcoming = upcoming or ("" if done else stage.name)
    click.echo(f"next: {upcoming or 'nothing, all is done'}")


@relay.command()
@click.argument("models", nargs=-1, required=True)
@click.option(
    "--config",
    default=f"{RECIPE}-1",
    show_default=True,
    help="Whose held-out images are measured: a YAML file, or a name in train/configs.",
)
@click.option(
    "--distorted",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Images of each set that are also measured resampled, noisy, blurred and so on.",
)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write all numbers here.")
@threads_option
def validate(
    models: tuple[str, ...], config: str, distorted: int, out: Path | None, threads: int
) -> None:
    """Measure MODELS side by side on the held-out images of a config.

    A model is a checkpoint (.pt), or whatever EdgeCounter takes: a bundled name, an .onnx.
    """
    _use_threads(threads)
    from edgecount.train.data.assemble import load_held_out
    from edgecount.train.relay.validation import open_counter, tables
    from edgecount.train.relay.validation import validate as measure

    if out:
        check_writable(out)
    reports = {}
    with ExitStack() as stack:
        # Before anything is measured, which one that cannot be opened would end.
        opened = {
            name: stack.enter_context(open_counter(name, threads)) for name in dict.fromkeys(models)
        }
        sets = load_held_out(load_config(find_config(Path(config))), Path())
        for model, counter in opened.items():
            click.echo(f"measuring {model}", err=True)
            with counter:
                reports[model] = measure(counter, sets, distorted=distorted)
    click.echo(tables(reports))
    if out:
        write_whole(out, (json.dumps(reports, indent=1) + "\n").encode())


@relay.command()
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The new checkpoint.")
@click.option(
    "--shares", metavar="N,N,...", help="Weight of each in the mean.  [default: the same for all]"
)
@threads_option
def average(checkpoints: tuple[Path, ...], out: Path, shares: str | None, threads: int) -> None:
    """Write the mean of the weights of CHECKPOINTS, such as the last stages of a recipe.

    All but the last may be deployed models (.onnx).

    Threshold, blend and interval are fitted to the images that the config of the last one holds
    out.
    """
    _use_threads(threads)
    from edgecount.train.checkpoint import config_of, load_network, save_checkpoint
    from edgecount.train.data.assemble import load_held_out
    from edgecount.train.manifest import postprocess_to_dict
    from edgecount.train.postprocess.fusion import fit_postprocess
    from edgecount.train.relay.average import average as mean_of

    try:
        parts = None if shares is None else [float(share) for share in shares.split(",")]
    except ValueError:
        raise click.UsageError(f"--shares: expected numbers, got {shares!r}") from None
    state = mean_of(checkpoints, parts)
    sets = load_held_out(config_of(state), checkpoints[-1].parent, state)
    save_checkpoint(out, state)
    click.echo(f"fitting threshold, blend and interval of {out}", err=True)
    network, _ = load_network(out)
    spec = fit_postprocess(network, list(sets.values()))
    save_checkpoint(out, {**state, "postprocess": postprocess_to_dict(spec)})


def _use_threads(threads: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _line(record: dict[str, Any], stop: Deadline) -> str:
    """Return a record of the log in words."""
    if "validation" in record:
        return f"  {record['validation']}: MAE {record['mae']:.2f}, bias {record['bias']:+.2f}"
    terms = ", ".join(
        f"{name} {value:.3f}"
        for name, value in record.items()
        if name not in ("step", "seconds_per_step")
    )
    left = "" if stop.at is None else f", {stop.minutes_left():.0f} min left"
    return f"  step {record['step']}: {terms}, {record['seconds_per_step']:.2f} s a step{left}"


def _standing(standing: Standing, *, done: bool) -> str:
    steps = f"{standing.step:,} of {standing.steps:,} steps"
    if done:
        return f"done, {steps}"
    if standing.trained:
        return f"trained, {steps}; not measured yet"
    if not standing.step:
        return f"not begun, {standing.steps:,} steps"
    left = standing.seconds_left / 60
    text = f"{steps}, {standing.seconds_per_step:.2f} s a step, {left:.0f} min left"
    text += f", learning rate {standing.rate:.2g}"
    if standing.validation:
        errors = ", ".join(f"{name} {mae:.1f}" for name, mae in standing.validation.items())
        text += f"; last MAE: {errors}"
    return text


def main() -> None:
    """Run the command line; an error is one line and exit code 1."""
    try:
        relay(prog_name="scripts/relay")
    except EdgeCountError as error:
        click.echo(f"scripts/relay: error: {error}", err=True)
        sys.exit(1)
