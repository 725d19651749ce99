"""Run mypy over the package as it is installed, with train/, export/ and runtime/ inside it.

An editable install maps the folders by an import hook that type checkers cannot follow, so the
installed shape is built of links under build/types.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10, where mypy brings the backport
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Link the folders and check the package; leaves with mypy's exit code."""
    target = ROOT / "build" / "types"
    shutil.rmtree(target, ignore_errors=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["scikit-build"]["wheel"]["packages"]
    for installed, source in packages.items():
        link_files(ROOT / source, target / installed)
    config = ["--config-file", str(ROOT / "pyproject.toml"), "--package", "edgecount"]
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    command = [sys.executable, "-m", "mypy", *config, *cache, *sys.argv[1:]]
    sys.exit(subprocess.run(command, cwd=target, check=False).returncode)


def link_files(source: Path, target: Path) -> None:
    """Mirror a folder's Python files as links."""
    for path in source.rglob("*"):
        if path.suffix in {".py", ".pyi"} or path.name == "py.typed":
            link = target / path.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(path, link.parent))


if __name__ == "__main__":
    main()
