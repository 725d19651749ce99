"""Whatever is changed in a config that people wrote: it is refused, or read as it was saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ruamel.yaml")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecount.errors import ConfigError
from edgecount.watch.config import SettingError, load, save
from written import DOOR, WRITTEN

_names = st.text(max_size=8)
_texts = st.text(max_size=20)
_share = st.floats(-0.5, 1.5).map(lambda value: round(value, 4))
_points = st.lists(st.tuples(_share, _share).map(list), min_size=3, max_size=5)
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)
_shapes = st.fixed_dictionaries(
    {},
    optional={
        "regions": st.dictionaries(_names, st.fixed_dictionaries({"polygon": _points}), max_size=2),
        "excluded": st.lists(_points, max_size=2),
        "lines": st.dictionaries(
            _names,
            st.fixed_dictionaries({"start": st.just([0, 0]), "end": st.just([1, 0.5])}),
            max_size=2,
        ),
        "title": _texts,
        "rate": st.floats(0.01, 240) | st.none(),
    },
)
_quick = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_quick
@given(first=_shapes, second=_shapes)
def test_what_is_saved_is_what_is_read(path: Path, first: Any, second: Any) -> None:
    path.write_text(WRITTEN.replace(": |\n            The hall", ": The hall"))
    for shapes in (first, second):
        before = path.read_bytes()
        try:
            config = save(path, {(*DOOR, key): value for key, value in shapes.items()})
        except SettingError:
            assert path.read_bytes() == before
            continue
        assert load(path) == config
        assert "title" not in shapes or config.cameras["door"].title == shapes["title"]
        for key in ("regions", "lines"):
            found = [*getattr(config.cameras["door"], key)]
            assert key not in shapes or found == [*shapes[key]]
            assert [*getattr(load(path).cameras["door"], key)] == found
        again = path.read_bytes()
        assert save(path, {}) == config
        assert path.read_bytes() == again
        assert all(mark in again for mark in (b"# What is", b"# the door", b"# The lines"))


@_quick
@given(key=st.sampled_from(["rate", "regions", "ground", "title", "alarms", "x"]), value=_anything)
def test_no_value_is_anything_but_refused(path: Path, key: str, value: Any) -> None:
    path.write_text(WRITTEN.replace(": |\n            The hall", ": The hall"))
    try:
        config = save(path, {(*DOOR, key): value})
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 (what is raised is optional)
    else:
        assert load(path) == config


@_quick
@given(text=st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,? \n\t1.~<", max_size=40))
def test_no_text_crashes_it(path: Path, text: str) -> None:
    path.write_text(f"cameras: {{a: {{source: 'rtsp://x'}}}}\nmodel: {text}\n")
    try:
        load(path)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017
