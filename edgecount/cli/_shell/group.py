"""A click group that loads a command when it is called and reports every failure in one line."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from edgecount.cli._shell.flags import with_flags
from edgecount.cli._shell.output import (
    StdoutError,
    complain,
    printable,
    silence_stdout,
    stdout_error,
)
from edgecount.cli._shell.progress import echo
from edgecount.cli._shell.signals import INTERRUPTED, raise_on_interrupt
from edgecount.errors import ConfigError, EdgeCountError

__all__ = ["FAILED", "INTERRUPTED", "LazyGroup", "complain"]

FAILED = 1
USAGE = 2
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

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments; --help and --version print here."""
        try:
            return super().make_context(*args, **kwargs)
        except BrokenPipeError:
            silence_stdout()
            raise SystemExit(PIPE_CLOSED) from None
        except OSError as error:
            complain(str(stdout_error(error) or error))
            silence_stdout()
            raise SystemExit(FAILED) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors become one line on stderr and an exit code."""
        try:
            with _log_to_stderr(ctx), raise_on_interrupt():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            silence_stdout()
            ctx.exit(PIPE_CLOSED)
        except Exception as error:
            if ctx.meta.get(_DEBUG):
                raise
            self._report(ctx, error)

    def _report(self, ctx: click.Context, error: Exception) -> NoReturn:
        """Print an error, a line for each thing that it is about, and exit."""
        if isinstance(error, OSError):
            error = stdout_error(error) or error
        if isinstance(error, StdoutError):
            silence_stdout()
        if not isinstance(error, EdgeCountError):
            complain(f"{type(error).__name__}: {error}  (--debug shows where it comes from)")
            ctx.exit(FAILED)
        command = self.get_command(ctx, str(ctx.invoked_subcommand))
        head = str(error).split("\n", 1)[0] if error.details else str(error)
        complain(with_flags(head, command))
        for line in error.details:
            echo(f"  {printable(with_flags(line, command))}", err=True)
        ctx.exit(USAGE if isinstance(error, ConfigError) else FAILED)


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
    """A handler that writes to the current sys.stderr, which tests replace, above progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        text = "\n".join(printable(line) for line in self.format(record).splitlines())
        echo(f"edgecount: {record.levelname.lower()}: {text}", err=True)


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
