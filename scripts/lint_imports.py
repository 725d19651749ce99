"""Check the contracts of [tool.importlinter] in pyproject.toml: who may import whom."""

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from importlinter.cli import lint_imports
from installed_tree import PROJECT, ROOT, link_package


def main() -> None:
    """Link the folders and check their imports; leaves with the linter's exit code."""
    sys.exit(check(link_package(ROOT / "build" / "imports")))


def check(tree: Path) -> int:
    """Check the package in a folder; returns 0 if every contract is kept."""
    os.chdir(tree)  # the linter looks for packages in the current folder first
    # An editable install's hook comes first otherwise, and it knows the repository's folders.
    sys.meta_path.insert(0, PathFinder)
    return lint_imports(str(PROJECT), no_cache=True)


if __name__ == "__main__":
    main()
