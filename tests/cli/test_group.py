"""The group: late loading, and how every failure ends."""

from __future__ import annotations

import re
import subprocess
import sys
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner, Result

import edgecount
from edgecount.cli import COMMANDS, cli
from edgecount.cli._shell.group import LazyGroup
from edgecount.errors import ConfigError, ModelError


@click.command()
@click.argument("kind")
def fail(kind: str) -> None:
    """Fail in some way."""
    errors: dict[str, BaseException] = {
        "model": ModelError("no such model:\n  nowhere.onnx"),
        "config": ConfigError("people: expected 0 or more"),
        "bug": ZeroDivisionError("division by zero"),
        "interrupt": KeyboardInterrupt(),
        "pipe": BrokenPipeError(),
    }
    raise errors[kind]


def invoke(*args: str) -> Result:
    group = LazyGroup("test", table={"fail": "Fail."}, package="commands")
    with patch.dict(sys.modules, {"commands.fail": sys.modules[__name__]}):
        return CliRunner().invoke(group, list(args))


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0
    assert "--debug" in result.output
    summary = COMMANDS[command]
    assert summary.endswith(".")
    assert len(summary) < 70


def test_help_lists_the_commands_in_order() -> None:
    output = CliRunner().invoke(cli, ["--help"]).output
    assert re.findall(r"^  ([a-z]+)  ", output, re.MULTILINE) == list(COMMANDS)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from edgecount.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ['numpy', 'cv2', 'onnxruntime', 'torch', 'tqdm', 'edgecount.cli.count']\n"
        "print('loaded:', [name for name in heavy if name in sys.modules])\n"
    )
    assert python(code).splitlines()[-1] == "loaded: []"


def test_count_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "from edgecount.cli import main\n"
        "try: main(['count', 'nothing.jpg'])\n"
        "except SystemExit: pass\n"
        "heavy = ['torch', 'onnx', 'edgecount.train', 'edgecount.export', 'tqdm']\n"
        "print('loaded:', [name for name in heavy if name in sys.modules])\n"
    )
    assert python(code).splitlines()[-1] == "loaded: []"


def test_version() -> None:
    result = CliRunner().invoke(cli, ["--version"])
    assert result.output == f"edgecount {edgecount.__version__}\n"


def test_module_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "edgecount", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("edgecount ")


def test_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(cli, ["cuont"])
    assert result.exit_code == 2
    assert "cuont" in result.stderr


def test_known_failure_is_one_line() -> None:
    result = invoke("fail", "model")
    assert result.exit_code == 1
    assert result.stderr == "edgecount: error: no such model: nowhere.onnx\n"
    assert result.stdout == ""


def test_nonsense_in_an_option_is_a_usage_error() -> None:
    result = invoke("fail", "config")
    assert (result.exit_code, result.stderr) == (
        2,
        "edgecount: error: people: expected 0 or more\n",
    )


def test_bug_is_one_line_that_names_debug() -> None:
    result = invoke("fail", "bug")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "--debug" in result.stderr


@pytest.mark.parametrize("args", [("--debug", "fail", "bug"), ("fail", "bug", "--debug")])
def test_debug_shows_the_traceback(args: tuple[str, ...]) -> None:
    assert isinstance(invoke(*args).exception, ZeroDivisionError)


def test_interrupt_and_closed_pipe_are_quiet() -> None:
    for kind, code in (("interrupt", 130), ("pipe", 141)):
        result = invoke("fail", kind)
        assert (result.exit_code, result.output) == (code, "")
