"""The packages that build edgecount: whether `scripts/gpu_check` sees that they are too old."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

NEEDED = ["scikit-build-core>=1.1,<2", "nanobind>=3.1,<4"]
TEXT = f"""[build-system]
requires = {NEEDED}
build-backend = "scikit_build_core.build"
""".replace("'", '"')


def test_reads_what_pip_reads(scripts: Any) -> None:
    assert scripts.requirements.build_requirements(TEXT) == NEEDED
    names = {Requirement(line).name for line in scripts.requirements.build_requirements()}
    assert {name.replace("-", "_") for name in names} == set(scripts.machine.BUILD_MODULES)


@pytest.mark.parametrize("version", ["0.9", "3.0.9", "3.1", "3.1.0", "3.10", "3.9.9", "4", "4.0.0"])
@pytest.mark.parametrize("bounds", [">=3.1,<4", ">=3.1", "<4", ""])
def test_bounds_are_those_of_packaging(scripts: Any, version: str, bounds: str) -> None:
    right = Requirement(f"nanobind{bounds}").specifier.contains(version)
    assert scripts.requirements.satisfies(version, f"nanobind{bounds}") == right


def test_names_what_is_missing_and_what_is_old(scripts: Any) -> None:
    unmet = scripts.requirements.unmet
    good = {"scikit_build_core": "scikit-build-core 1.1.2", "nanobind": "nanobind 3.1.0"}
    assert unmet(good, NEEDED) == []
    assert unmet({"nanobind": "nanobind 2.9.2"}, NEEDED) == [
        "scikit-build-core>=1.1,<2 (not installed)",
        "nanobind>=3.1,<4 (nanobind 2.9.2 is installed)",
    ]
    assert len(unmet({**good, "nanobind": "without a version"}, NEEDED)) == 1


@pytest.fixture
def outdated(check: Any) -> Any:
    """Return a check of a machine with nvcc, and with a nanobind that is too old."""
    modules = {"scikit_build_core": "scikit-build-core 1.1.2", "nanobind": "nanobind 2.9.2"}
    check.build = True
    check.machine = check.machine._replace(modules=modules, tools={"nvcc": "/no/nvcc"})
    return check


def test_wheels_that_were_fetched_replace_what_is_too_old(
    scripts: Any, outdated: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = tmp_path / "wheels"
    fetched.mkdir()
    monkeypatch.setattr(scripts.steps, "WHEELS", fetched)
    build = next(iter(scripts.steps.steps(outdated)))
    assert outdated.wheels == fetched
    assert build.message == f"no .whl file in {fetched}"


def test_a_failed_build_says_what_it_lacked(
    scripts: Any, outdated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_pip = [sys.executable, "-c", "raise SystemExit(1)"]
    monkeypatch.setattr(scripts.steps, "pip", lambda check: no_pip)
    outcome = scripts.steps.build(outdated)
    assert outcome.status == "failed"
    assert outcome.message == (
        "exit code 1; it needs nanobind>=3.1,<4 (nanobind 2.9.2 is installed), for which pip asked "
        "an index: without a network run  scripts/gpu_check --fetch  elsewhere and bring "
        "build/wheels/"
    )
    assert "--no-build-isolation" not in outcome.command


def test_a_build_that_takes_too_long_says_what_to_do(
    scripts: Any, outdated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(scripts.steps, "pip", lambda check: endless)
    monkeypatch.setattr(scripts.steps, "LONGEST_BUILD", 0.2)
    outcome = scripts.steps.build(outdated)
    assert outcome.status == "failed"
    assert outcome.message.startswith("not done after 0 s: give it more with --limit")
