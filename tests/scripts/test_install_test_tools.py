"""scripts/install_test_tools, with stand-ins for the tools of Debian."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "install_test_tools"


@pytest.fixture
def run(tmp_path: Path):
    """Run the script where only `installed` is there, by a user with a number."""

    def call(*, user: int, installed: str = "", apt: str = "true") -> tuple[int, str]:
        tools = {
            "id": f"echo {user}",
            "dpkg-query": f'case " {installed} " in *" ${{@: -1}} "*) echo -n installed;; esac',
            "apt-get": f'echo "apt-get $*" >&2; {apt}',
        }
        for name, text in tools.items():
            path = tmp_path / name
            path.write_text(f"#!/usr/bin/env bash\n{text}\n")
            path.chmod(0o755)
        environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(
            [SCRIPT], env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return call


def test_another_user_is_told_the_command(run) -> None:
    code, output = run(user=1000, installed="mosquitto openssl")
    assert code == 1
    assert "  sudo apt-get install -y --no-install-recommends mosquitto-clients prometheus chr" in (
        output
    )
    assert "apt-get -q" not in output


def test_root_installs_what_is_missing(run) -> None:
    code, output = run(user=0, installed="mosquitto openssl")
    assert code == 0
    assert "python3-gi" in output.splitlines()[-1]
    assert " mosquitto " not in output.splitlines()[-1]


def test_a_package_that_is_not_there_keeps_out_no_other(run) -> None:
    code, output = run(user=0, apt='[[ "$*" != *chromium-driver* ]]')
    assert code == 1
    assert output.splitlines()[-1] == "install_test_tools: not installed: chromium-driver"
