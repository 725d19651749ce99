"""Run mypy over the package as it is installed. Arguments go to mypy."""

import subprocess
import sys

from installed_tree import PROJECT, ROOT, link_package


def main() -> None:
    """Link the folders and check the package; leaves with mypy's exit code."""
    target = link_package(ROOT / "build" / "types")
    config = ["--config-file", str(PROJECT), "--package", "edgecount"]
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    command = [sys.executable, "-m", "mypy", *config, *cache, *sys.argv[1:]]
    sys.exit(subprocess.run(command, cwd=target, check=False).returncode)


if __name__ == "__main__":
    main()
