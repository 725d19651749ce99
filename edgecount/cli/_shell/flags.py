"""Translate the options that the library's messages name into a command's flags.

The library names its options as Python knows them: at the head of a message (``batch: expected``,
``data.split: expected``), or in backquotes, alone or with a value (```target=tensorrt```).
"""

from __future__ import annotations

import re

import click

__all__ = ["with_flags"]

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
