"""`edgecount doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import click

from edgecount.cli._shell.group import FAILED
from edgecount.cli._shell.output import to_json
from edgecount.cli._types.options import json_option, model_option

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@model_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, /, model: str, as_json: bool) -> None:
    """Check what works on this machine.

    Looks at Python, the processor, memory and swap, the GPU, ONNX Runtime, TensorRT and OpenCV, on
    a Jetson also at its JetPack and power mode, and counts a rendered picture. A warning (warn) is
    about something that counting does without. The exit code is 1 only if counting cannot work
    (fail).
    """
    from edgecount.cli._doctor.run import run_checks

    checks = run_checks(model)
    if as_json:
        click.echo(to_json([check._asdict() for check in checks]))
    else:
        for check in checks:
            mark = click.style(f"{check.status:4}", fg=_COLOURS[check.status], bold=True)
            click.echo(f"{mark}  {check.name:11}  {check.found}")
            for line in check.advice.splitlines():
                click.echo(f"{'':19}-> {line}")
    if any(check.status == "fail" for check in checks):
        ctx.exit(FAILED)
