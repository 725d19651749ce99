"""Progress, and the words of the library."""

import re
from pathlib import Path

from edgecount.export import package
from edgecount.export.progress import Steps, silent


def test_steps_are_counted():
    seen = []
    step = Steps(lambda *report: seen.append(report), "counting", 2)
    step()
    step()
    assert seen == [("counting", 1, 2), ("counting", 2, 2)]
    assert silent("counting", 1, 2) is None


def test_the_library_speaks_of_no_flags():
    """They are the command line's; commands to run are quoted with theirs."""
    folder = Path(package.__file__).parent
    found = [
        f"{path.name}: {line.strip()}"
        for path in folder.rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"--[a-z]", line) and "edgecount inspect" not in line
    ]
    assert found == []
