"""The command line: `edgecount COMMAND`.

A command is a file here, loaded when it is called, so that `edgecount --help` is instant. To add
one, write `edgecount/cli/NAME.py` with a click command of that name, and its line in `COMMANDS`.

Exit codes: 0 done, 1 failed (one line on stderr), 2 wrong usage, 130 stopped by Ctrl-C, 141 the
reader of stdout went away, 143 stopped by SIGTERM.
"""

from __future__ import annotations

from typing import Any

try:
    import click

    from edgecount.cli._shell.group import LazyGroup
    from edgecount.cli._shell.output import safe_streams
    from edgecount.cli._shell.signals import exit_on_interrupt, interrupt_on_sigterm
    from edgecount.cli._shell.stuck import end_stuck_calls
except KeyboardInterrupt:  # from a user who saw a typing error at once
    raise SystemExit(130) from None

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "count": "Count people in images, folders, videos and cameras.",
    "watch": "Count cameras for months, with a page to look at.",
    "demo": "Render a crowd with known truth and count it.",
    "history": "Print the history of counts as CSV.",
    "models": "List the bundled models.",
    "inspect": "Show what a model expects and gives.",
    "train": "Train a network from a config.",
    "eval": "Measure a model on annotated images.",
    "adapt": "Fine-tune a model to your own camera.",
    "label": "Mark the heads in your own pictures, in the browser.",
    "data": "Check annotated images; turn points into boxes.",
    "scenes": "Render crowds with known truth as an annotated set.",
    "export": "Write a model as checked files for deployment.",
    "bench": "Time models, stage by stage.",
    "doctor": "Check what works on this machine.",
}


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from edgecount import __version__

        click.echo(f"edgecount {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    package=__name__,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C, 143 by SIGTERM.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Crowd counting for the edge."""


def main(args: list[str] | None = None, **extra: Any) -> None:
    """Run the command line.

    Raises:
        SystemExit: always, with the exit code.
    """
    with safe_streams(), interrupt_on_sigterm(), end_stuck_calls(), exit_on_interrupt():
        cli.main(args=args, prog_name="edgecount", **extra)
