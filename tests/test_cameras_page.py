"""The program of docs/cameras.md runs, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgecount.cli.count import count
from edgecount.runtime.sources import LiveOptions, SourceState
from edgecount.scenes import render_scene
from jpeg_camera import serve_jpegs

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "cameras.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ADDRESS = "rtsp://user:password@192.168.1.20/stream"


def test_the_page_is_one_program(tmp_path: Path) -> None:
    code = "\n".join(BLOCKS)
    assert ADDRESS in code
    pictures = [render_scene(6, size=(320, 240), seed=seed).image for seed in range(3)]
    with serve_jpegs(pictures, fps=20) as address:
        command = [sys.executable, "-W", "error", "-c", code.replace(ADDRESS, address)]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "door?token=***: " in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_tables_have_every_state_and_only_options_that_there_are() -> None:
    states = {state.value for state in SourceState}
    assert states <= set(re.findall(r"`(\w+)`", TEXT))
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", TEXT, re.MULTILINE)
    assert set(rows) <= set(LiveOptions.__dataclass_fields__)
    assert {"open_timeout", "first_timeout", "stall_timeout", "backoff", "give_up"} <= set(rows)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", [PAGE, ROOT / "examples" / "README.md"], ids=["page", "examples"])
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_flags_are_those_of_count() -> None:
    known = {flag for option in count.params for flag in (*option.opts, *option.secondary_opts)}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) <= known
