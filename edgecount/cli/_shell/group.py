"""A click group that loads a command when it is called and reports every failure in one line."""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from edgecount.cli._shell.flags import with_flags
from edgecount.errors import ConfigError, EdgeCountError

FAILED = 1
USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
PIPE_CLOSED = 141  # 128 + SIGPIPE

_DEBUG = "edgecount.debug"
_LEVEL_BEFORE = "edgecount.level"


class LazyGroup(click.Group):
    """A group whose commands are named in a table and loaded when they are called.

    Args:
        table: line of help of each command by its name, in the order of the help text.
        package: package with a module of each command's name.
    """

    def __init__(self, *args: Any, table: Mapping[str, str], package: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table, self.package = table, package
        self.params += _log_options()

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names, without loading a command."""
        return list(self.table)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Load a command and add the options that all commands have."""
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(f"{self.package}.{cmd_name}")
        found = (one for one in vars(module).values() if isinstance(one, click.Command))
        command = next(one for one in found if one.name == cmd_name)
        known = {param.name for param in command.params}
        command.params += [option for option in _log_options() if option.name not in known]
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands, without loading one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.table.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors become one line on stderr and an exit code."""
        try:
            with _log_to_stderr(ctx):
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _silence_stdout()
            ctx.exit(PIPE_CLOSED)
        except EdgeCountError as error:
            if ctx.meta.get(_DEBUG):
                raise
            command = self.get_command(ctx, str(ctx.invoked_subcommand))
            complain(with_flags(str(error), command))
            ctx.exit(USAGE if isinstance(error, ConfigError) else FAILED)
        except Exception as error:
            if ctx.meta.get(_DEBUG):
                raise
            complain(f"{type(error).__name__}: {error}  (--debug shows where it comes from)")
            ctx.exit(FAILED)


def complain(message: str) -> None:
    """Print an error as one line on stderr."""
    line = " ".join(part.strip() for part in message.splitlines() if part.strip())
    click.echo(f"edgecount: error: {line}", err=True)


def _log_options() -> list[click.Parameter]:
    def option(names: list[str], level: int, help: str) -> click.Parameter:  # noqa: A002
        callback = functools.partial(_lower_level, level)
        return click.Option(names, is_flag=True, expose_value=False, callback=callback, help=help)

    return [
        option(["-v", "--verbose"], logging.INFO, "Log choices and reasons, such as the backend."),
        option(["--debug"], logging.DEBUG, "Log everything, and show the traceback of an error."),
    ]


def _lower_level(level: int, ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value:
        return
    ctx.meta[_DEBUG] = ctx.meta.get(_DEBUG) or level == logging.DEBUG
    logger = logging.getLogger("edgecount")
    ctx.meta.setdefault(_LEVEL_BEFORE, logger.level)
    logger.setLevel(min(level, logger.level or logging.WARNING))


class _EchoHandler(logging.Handler):
    """A handler that writes to the current sys.stderr, which tests and progress bars replace."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"edgecount: {record.levelname.lower()}: {self.format(record)}", err=True)


@contextmanager
def _log_to_stderr(ctx: click.Context) -> Iterator[None]:
    """Show the package's log while a command runs, and leave logging as it was."""
    logger, handler = logging.getLogger("edgecount"), _EchoHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        if _LEVEL_BEFORE in ctx.meta:
            logger.setLevel(ctx.meta[_LEVEL_BEFORE])


def _silence_stdout() -> None:
    """Keep the interpreter from complaining once more when it flushes stdout at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
