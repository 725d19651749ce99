"""docs/watch.md says what the config and the command take."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

pytest.importorskip("ruamel.yaml", reason='needs pip install "edgecount[watch]"')

from edgecount.cli.watch import watch
from edgecount.watch import config as settings
from edgecount.watch.config import SettingError, load

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "watch.md").read_text(encoding="utf-8")
TABLES = "\n".join(line for line in TEXT.splitlines() if line.startswith("| "))


def keys() -> set[str]:
    sections = [one for one in vars(settings).values() if dataclasses.is_dataclass(one)]
    names = {field.name for one in sections for field in dataclasses.fields(one)}
    return names - {"version"}


def test_every_key_is_named() -> None:
    named = {part for word in re.findall(r"`([\w.]+)`", TABLES) for part in word.split(".")}
    named |= {"sinks", "history", "keep", "serve"} & set(re.findall(r"`(\w+)`", TEXT))
    assert len(keys()) > 50
    assert keys() - named == set()


def test_defaults_are_those_of_the_config() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]*) \|", TEXT, re.MULTILINE)
    defaults = {key.strip("`"): value for key, value in rows}
    of_camera = {one.name: one.default for one in dataclasses.fields(settings.CameraConfig)}
    of_alarm = {one.name: one.default for one in dataclasses.fields(settings.AlarmConfig)}
    for name in ("open_timeout", "first_timeout", "stall_timeout", "rate"):
        assert float(defaults[name]) == of_camera[name]
    for name in ("enter", "leave", "cooldown", "stale"):
        assert float(defaults[name]) == of_alarm[name]
    assert defaults["address"] == settings.ServeConfig().address


def test_the_config_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", "hunter2")
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    assert list(load(path).cameras) == ["door"]
    path.write_text(text.replace("    title:", "    rate: fast\n    title:"))
    with pytest.raises(SettingError, match=r"rate: expected a number or null, got 'fast'$"):
        load(path)


def test_options_and_files_that_are_named_are_there() -> None:
    known = {name for param in watch.params for name in param.opts}
    known |= {"--help", "--debug", "-v"}
    lines = [line for line in TEXT.splitlines() if line.startswith("edgecount watch")]
    assert len(lines) > 4
    used = {word for line in lines for word in line.split() if word.startswith("--")}
    assert used <= known


def test_what_programs_may_ask_is_what_the_page_answers() -> None:
    pytest.importorskip("starlette", reason='needs pip install "edgecount[watch]"')
    from starlette.routing import Route

    from edgecount.watch.page.app import _routes

    section = TEXT.partition("## What programs may ask")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(?:(GET|PUT|POST) )?(/[^`]*)`", section, re.MULTILINE))
    own = {"/", "/static/{path:path}", "/login", "/logout"}  # of the page, for people
    answered = {
        (next(iter((route.methods or {"GET"}) - {"HEAD"})), route.path)
        if isinstance(route, Route)
        else ("", route.path)
        for route in _routes()
        if route.path not in own
    }
    assert told == answered


def test_whoever_found_a_weakness_is_sent_nowhere_that_is_not_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    has_address = re.search(r"^\[project\.urls\]|\bemail = ", project, re.MULTILINE) is not None
    assert ("has no public address yet" in text) is not has_address


@pytest.mark.parametrize("name", ["watch", "sinks", "history", "security", "label"])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / "docs" / f"{name}.md"
    for path, anchor in re.findall(
        r"\]\((?!http)([^)#\s]*)(?:#([\w-]+))?\)", page.read_text(encoding="utf-8")
    ):
        target = page.parent / path if path else page
        assert target.exists(), path
        if anchor:
            text = target.read_text(encoding="utf-8").lower()
            titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", one).replace(" ", "-") for one in titles]
