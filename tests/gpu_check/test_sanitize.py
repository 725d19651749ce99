"""The steps of `scripts/gpu_check` that run under compute-sanitizer.

A script takes its place, with lines of the real one, which needs a GPU.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

BANNER = "========= COMPUTE-SANITIZER"
CLEAN = "========= ERROR SUMMARY: 0 errors"
REFUSED = "========= Error: Device not supported. Please refer to the documentation"
FOUND = """========= Invalid __global__ write of size 4 bytes
=========     at count(float *)+0x90
========= ERROR SUMMARY: 1 error"""


@pytest.fixture
def speak(scripts: Any, check: Any, tmp_path: Path) -> Any:
    """Run memcheck with one output for a program that does nothing and another for tests."""

    def run(
        of_nothing: str, of_tests: str, *, code: int = 0, refused: int = 0, seconds: float = 0
    ) -> Any:
        tool = tmp_path / "compute-sanitizer"
        tool.write_text(
            f"#!{sys.executable}\n"
            "import sys, time\n"
            "tests = 'pytest' in sys.argv\n"
            f"print({of_tests!r} if tests else {of_nothing!r}, flush=True)\n"
            f"time.sleep({seconds} * tests)\n"
            f"sys.exit({code} if tests else {refused})\n"
        )
        tool.chmod(0o755)
        check.machine = check.machine._replace(tools={"compute-sanitizer": str(tool)})
        return scripts.suites.sanitize(check, 2, "memcheck")

    return run


@pytest.fixture
def works(scripts: Any) -> str:
    """Return the output for a program that does nothing where the tool can do its work."""
    return f"{BANNER}\n{scripts.suites._TOUCHED}\n{CLEAN}"


def test_nothing_found(speak: Any, works: str) -> None:
    outcome = speak(works, f"{BANNER}\n3 passed in 1.0s\n{CLEAN}")
    assert (outcome.status, outcome.message) == ("passed", "3 passed in 1.0s")


def test_a_finding_is_a_failure(speak: Any, works: str) -> None:
    outcome = speak(works, f"{BANNER}\n3 passed in 1.0s\n{FOUND}", code=99)
    assert outcome.status == "failed"
    assert outcome.message.endswith("exit code 99; Invalid __global__ write of size 4 bytes")
    assert FOUND in outcome.tail


def test_tests_that_fail_under_the_tool(speak: Any, works: str) -> None:
    outcome = speak(works, f"{BANNER}\n1 failed, 2 passed in 1.0s\n{CLEAN}", code=1)
    assert outcome.status == "failed"


@pytest.mark.parametrize(
    ("said", "code", "why"),
    [
        (f"{BANNER}\n{REFUSED}\nRuntimeError: cudaMalloc: error 999", 1, "Device not supported"),
        (f"{BANNER}\nRuntimeError: unknown error (999)", 1, "unknown error (999)"),
        (f"{BANNER}\n========= Error: Target application terminated", 1, "Target application"),
        (f"{BANNER}\n{CLEAN}", 0, "it did not run the program"),
        ("", 0, "it did not run the program"),
    ],
)
def test_where_it_does_not_work(speak: Any, said: str, code: int, why: str) -> None:
    outcome = speak(said, FOUND, code=99, refused=code)
    assert outcome.status == "skipped"
    assert outcome.message.startswith("it does not work on this machine: ")
    assert why in outcome.message


def test_where_it_lets_programs_run_unseen(speak: Any, works: str) -> None:
    outcome = speak(f"{works}\n{REFUSED}", "3 passed in 1.0s")
    assert outcome.status == "skipped"
    assert "Device not supported" in outcome.message


def test_one_that_is_too_slow_has_found_nothing(speak: Any, works: str) -> None:
    outcome = speak(works, BANNER, seconds=30)
    assert (outcome.status, outcome.timed_out) == ("skipped", True)


def test_what_a_slow_one_found_is_a_failure(speak: Any, works: str) -> None:
    outcome = speak(works, f"{BANNER}\n{FOUND}", seconds=30)
    assert outcome.status == "failed"
