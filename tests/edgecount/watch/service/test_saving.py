"""Changes that a service saves, and pictures that it keeps."""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
from watching import config, section, until

from edgecount import ConfigError, EdgeCounter
from edgecount.fake import FakeCamera, Show
from edgecount.runtime.sources.live import LiveOptions
from edgecount.watch.config import (
    KeepConfig,
    load,
)
from edgecount.watch.service import Service
from edgecount.watch.shapes import ChangedError, shapes_version

YAML = """
cameras:
  door:
    source: rtsp://camera  # by the entrance
    check_picture: false
keep: {folder: FOLDER}
"""


def test_shapes_are_saved_and_pictures_kept(counter: EdgeCounter, tmp_path: Path):
    path = tmp_path / "cameras.yaml"
    path.write_text(YAML.replace("FOLDER", str(tmp_path / "kept")))
    door = FakeCamera([Show(600, people=6)], options=LiveOptions(backoff=(0.1, 0.1)))
    with Service(load(path), counter=counter, sinks=[], sources={"door": door}) as service:
        with pytest.raises(ConfigError, match="none has come yet"):
            service.keep("door")
        view = service.cameras["door"]
        until(view.latest)
        assert (tmp_path / "kept" / service.keep("door")).stat().st_size
        bad = {"regions": {"left": {"polygon": [[0, 0], [1, 1]]}}}
        before = path.read_bytes()
        with pytest.raises(ConfigError):
            service.change_shapes("door", bad)
        with pytest.raises(ConfigError, match="expected some of regions"):
            service.change_shapes("door", {"source": "rtsp://elsewhere"})
        assert path.read_bytes() == before
        version = shapes_version(view.shapes())
        polygon = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
        service.change_shapes("door", {"regions": {"left": {"polygon": polygon}}})
        until(lambda: view.latest().regions)
        assert view.shapes()["regions"]["left"] == {"polygon": polygon, "excluded": []}
        assert view.health().reconnects == 0
        # Somebody else has them as they were before.
        lines = {"lines": {"in": {"start": [0, 0], "end": [1, 1]}}}
        with pytest.raises(ChangedError, match="door: somebody else has changed"):
            service.change_shapes("door", lines, since=version)
        assert view.shapes()["lines"] == {}
        service.change_shapes("door", lines, since=shapes_version(view.shapes()))
        assert view.shapes()["lines"] == lines["lines"]
    assert "# by the entrance" in path.read_text()


def test_the_order_of_lines_is_the_same_after_a_restart(counter: EdgeCounter, tmp_path: Path):
    pytest.importorskip("starlette", reason='needs pip install "edgecount[watch]"')
    pytest.importorskip("httpx")
    from edgecount._web.access import Access
    from edgecount.watch.page.app import build_app

    with warnings.catch_warnings():
        # It would rather have httpx2, which does not exist for Python 3.10.
        warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient`")
        from starlette.testclient import TestClient

    path = tmp_path / "cameras.yaml"
    line = {"start": [0.5, 1], "end": [0.5, 0]}
    written = "".join(f"\n      {name}: {json.dumps(line)}" for name in ("gate", "'10'", "'2'"))
    path.write_text(f"cameras:\n  door:\n    source: rtsp://camera\n    lines: {written}\n")

    @contextmanager
    def running():
        sources = {"door": FakeCamera([Show(600)])}
        service = Service(load(path), counter=counter, sinks=[], sources=sources)
        with service, TestClient(build_app(service, Access()), "http://127.0.0.1") as client:
            yield client

    address = "/api/cameras/door/shapes"
    for names in (["2", "gate", "10"], ["new", "2", "gate", "10"]):
        # As JavaScript sends it.
        change = {"lines": dict.fromkeys(sorted(names), line), "order": {"lines": names}}
        with running() as client:
            tag = client.get(address).headers["etag"]
            answer = client.put(address, json=change, headers={"If-Match": tag})
            assert answer.json()["order"]["lines"] == names
        with running() as client:  # nobody has changed anything
            again = client.get(address)
            assert again.json()["order"]["lines"] == names
            assert again.headers["etag"] == answer.headers["etag"] != tag


@pytest.mark.parametrize("error", [ConfigError("the engine hangs"), RuntimeError("a mistake")])
def test_a_config_that_did_not_work_out_is_put_back_with_its_rights(
    counter: EdgeCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    path = tmp_path / "cameras.yaml"
    path.write_text(YAML.replace("FOLDER", str(tmp_path / "kept")))
    path.chmod(0o600)  # there may be passwords in it
    before = path.read_bytes()
    service = Service(
        load(path), counter=counter, sinks=[], sources={"door": FakeCamera([Show(1)])}
    )

    def refuse(_: object) -> None:
        assert path.read_bytes() != before
        raise error

    monkeypatch.setattr(service, "reload", refuse)
    with pytest.raises(type(error), match=str(error)):
        service.change_shapes("door", {"lines": {"in": {"start": [0, 0], "end": [1, 1]}}})
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o600
    service.stop()


def test_without_a_file_or_a_folder_nothing_is_saved(counter: EdgeCounter):
    door = FakeCamera([Show(600)])
    service = Service(
        config({"door": section()}), counter=counter, sinks=[], sources={"door": door}
    )
    with pytest.raises(ConfigError, match="no config file to save"):
        service.change_shapes("door", {"lines": {}})
    with pytest.raises(ConfigError, match="expected a folder"):
        service.keep("door")
    service.stop()


def test_a_folder_that_is_full(counter: EdgeCounter, tmp_path: Path):
    (tmp_path / "old.jpg").write_bytes(bytes(1_000_000))
    door = FakeCamera([Show(600)])
    keep = KeepConfig(tmp_path, size_mb=1)
    with Service(
        config({"door": section()}, keep=keep), counter=counter, sinks=[], sources={"door": door}
    ) as service:
        until(service.cameras["door"].latest)
        with pytest.raises(Exception, match="is full: it has 1 MB"):
            service.keep("door")
