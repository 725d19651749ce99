"""Python code that is run in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def run_code(code: str, *arguments: object, **environment: str) -> tuple[int, str, str]:
    """Run Python code in a process of its own; return its exit code, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr
