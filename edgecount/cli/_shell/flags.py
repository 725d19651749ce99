"""Translate the options that the library's messages name into a command's flags.

The library names its options as Python knows them: at the head of a message (``batch: expected``,
``data.split: expected``), or in backquotes, alone or with a value (```target=tensorrt```).
"""

from __future__ import annotations

import re

import click
from click.core import ParameterSource

__all__ = ["given_flags", "with_flags"]

# Options of the library that are parts of a flag, or called otherwise, by command.
_OTHERS = {
    "export": {
        "profile": "--input dynamic",
        "repository": "--triton",
        "shapes": "--input",
        "size": "--input",
    },
}
# Commands whose config has what they have no flag for.
_CONFIGURED = ("train",)


def with_flags(message: str, command: click.Command | None = None) -> str:
    """Return a message of the library with flags in place of options.

    The advice at its end to set an option that the command does not have is left out.

    Args:
        message: the message.
        command: the command whose flags are meant; None: the one that runs.
    """
    command = command or click.get_current_context().command
    flags = _flags_of(command) | _OTHERS.get(str(command.name), {})
    if command.name not in _CONFIGURED:
        message = re.sub(rf", or set `(?!(?:{'|'.join(flags)})`)[a-z_]+` [^,;:`]*$", "", message)
    if not flags:
        return message
    names = "|".join(flags)

    def flag(match: re.Match[str]) -> str:
        head, named, value = match.groups()
        return flags[head or named] + (f" {value}" if value else "")

    # Other words with a point in them are files, such as "page.token: ...".
    head = rf"^(?:data\.(?!csv\b)|serve\.)?({names})(?=: )"
    return re.sub(rf"{head}|`({names})(?:=([^`]+))?`", flag, message)


def _flags_of(command: click.Command) -> dict[str, str]:
    """Return the flag of each option by its name, those of a group's commands too."""
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    flags = {name: flag for one in inner for name, flag in _flags_of(one).items()}
    options = (param for param in command.params if isinstance(param, click.Option))
    return flags | {str(option.name): option.opts[0] for option in options}


def given_flags(ctx: click.Context) -> dict[str, str]:
    """Return the flags that stand on the command line, as they were typed, by their option.

    The name of an argument stands for it.
    """
    return {
        str(param.name): _typed(param, ctx.params.get(str(param.name)))
        for param in ctx.command.params
        if ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
    }


def _typed(param: click.Parameter, value: object) -> str:
    """Return the flag of a value: of a pair such as --open/--no-open the second of False."""
    return (param.secondary_opts if value is False and param.secondary_opts else param.opts)[0]
