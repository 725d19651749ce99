"""docs/archives.md says of Ray what is true of the functions it names."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "archives.md"


def test_options_and_numbers() -> None:
    from edgecount import EdgeCounter
    from edgecount.ray import count_images

    text = PAGE.read_text(encoding="utf-8").partition("\n## Ray\n")[2]
    own = inspect.signature(count_images).parameters
    known = {*own, *inspect.signature(EdgeCounter).parameters}
    others = {"include_paths", "ray_remote_args", "min_rows_per_file", "fn_constructor_kwargs"}
    others |= {"compute", "size"}
    assert set(re.findall(r"\b([a-z_]+)=", text)) <= known | others
    assert f"({own['batch_size'].default})" in text


def test_code_compiles() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("\n## Ray\n")[2]
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        compile(block, PAGE.name, "exec")
