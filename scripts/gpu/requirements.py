"""The Python packages that build edgecount: whether they are new enough, and a folder of wheels.

Standard library only.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from run import ROOT

# Where the wheels lie that `--fetch` brings; a build takes them where what is installed is too old.
WHEELS = ROOT / "build" / "wheels"
# Needed by scikit-build-core before Python 3.11. Named, since pip asks the Python that it runs in,
# and the wheels may be for another one.
FOR_PYTHON_310 = ("exceptiongroup", "tomli", "typing-extensions")
_SPECIFIER = re.compile(r"(>=|<)\s*([\d.]+)")


def build_requirements(text: str | None = None) -> list[str]:
    """Return what builds edgecount, such as "nanobind>=3.1,<4", from the text of pyproject.toml.

    Read without a TOML parser, which Python 3.10 does not have. None: the checkout's own file.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8") if text is None else text
    match = re.search(r"^\[build-system\]\s+requires = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError("pyproject.toml: expected [build-system] with `requires` first")
    return re.findall(r'"([^"]+)"', match[1])


def unmet(modules: Mapping[str, str], requirements: list[str] | None = None) -> list[str]:
    """Return what the build lacks, such as "nanobind>=3.1,<4 (nanobind 2.9.2 is installed)".

    Without build isolation pip does not look.

    Args:
        modules: "distribution version" of the installed packages by module (`Machine.modules`).
        requirements: as `build_requirements` returns them, which are taken if it is None.
    """
    return list(_unmet(modules, build_requirements() if requirements is None else requirements))


def _unmet(modules: Mapping[str, str], requirements: list[str]) -> Iterator[str]:
    for requirement in requirements:
        name = re.split(r"[<>=!~;\s\[]", requirement)[0]
        found = modules.get(name.replace("-", "_"))
        if found is None:
            yield f"{requirement} (not installed)"
        elif not satisfies(found.rpartition(" ")[2], requirement):
            yield f"{requirement} ({found} is installed)"


def satisfies(version: str, requirement: str) -> bool:
    """Return whether a version such as "3.1.0" is within bounds of the kind ">=3.1,<4"."""
    if not re.match(r"\d", version):
        return False
    for sign, bound in _SPECIFIER.findall(requirement):
        below = _release(version) < _release(bound)
        if below != (sign == "<"):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    """Return (3, 1) for "3.1.0": numbers alone, without zeros at the end."""
    match = re.match(r"[\d.]+", version)
    numbers = [int(part) for part in (match[0] if match else "").split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def fetch(python: str, folder: Path = WHEELS) -> int:
    """Download what builds edgecount as wheels for any machine, and return pip's exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    options = "-m pip download --disable-pip-version-check --quiet --only-binary :all:"
    place = ["--platform", "any", "--dest", str(folder)]
    names = [*build_requirements(), *FOR_PYTHON_310]
    code = subprocess.run([python, *options.split(), *place, *names], check=False).returncode
    if code == 0:
        size = sum(path.stat().st_size for path in folder.glob("*.whl"))
        print(f"{folder}: {len(list(folder.glob('*.whl')))} wheels, {size / 1e6:.1f} MB")
    return code
