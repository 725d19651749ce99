"""The contracts on imports, on the package in its installed shape."""

from __future__ import annotations

import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.machinery import PathFinder
from pathlib import Path

import grimp
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
CHECK = """
import sys
from pathlib import Path
from lint_imports import check
sys.exit(check(Path(sys.argv[1])))
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Link the package into a temporary folder."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr(sys, "meta_path", [PathFinder, *sys.meta_path])
    linked: Path = importlib.import_module("installed_tree").link_package(tmp_path / "tree")
    return linked


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHECK, str(tree)]
    return subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("runtime/sources/planted.py", "import edgecount.train.loop", "runtime"),
        ("runtime/cuda/planted.py", "import edgecount.runtime.pipeline", "runtime"),
        ("counter.py", "def planted():\n    import torch", "PyTorch"),
        ("export/options.py", "def planted():\n    import edgecount.export.package", "circles"),
        ("planted.py", "", "planted"),
    ],
)
def test_a_wrong_import_is_named(tree: Path, file: str, line: str, broken: str) -> None:
    path = tree / "edgecount" / file
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    path.write_text(f"{text}\n{line}\n")
    done = lint(tree)
    assert done.returncode == 1
    assert broken in done.stdout


def test_the_contracts_are_kept(tree: Path) -> None:
    done = lint(tree)
    assert done.returncode == 0, done.stdout


def test_no_module_imports_itself_through_its_package(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract on circles looks at siblings, and not at what a package's face imports."""
    monkeypatch.syspath_prepend(str(tree))
    graph = grimp.build_graph("edgecount", exclude_type_checking_imports=True, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    TopologicalSorter(imports).prepare()  # a CycleError names the modules
