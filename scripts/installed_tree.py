"""The package in its installed shape: one tree with train/, export/ and runtime/ inside it.

An editable install maps those folders by an import hook that tools which read source files cannot
follow, so they get a tree of links.
"""

import os
import shutil
from pathlib import Path
from typing import Any

try:
    import tomllib
except ImportError:  # Python 3.10, where mypy brings the backport
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"


def read_project() -> dict[str, Any]:
    """Return the content of pyproject.toml."""
    return tomllib.loads(PROJECT.read_text())


def link_package(target: Path) -> Path:
    """Replace ``target`` by a tree of links to the package's files, and return it."""
    shutil.rmtree(target, ignore_errors=True)
    packages = read_project()["tool"]["scikit-build"]["wheel"]["packages"]
    for installed, source in packages.items():
        for path in (ROOT / source).rglob("*"):
            if path.suffix in {".py", ".pyi"} or path.name == "py.typed":
                link = target / installed / path.relative_to(ROOT / source)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(os.path.relpath(path, link.parent))
    return target
