"""Configs that are read, and those that are refused in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

pytest.importorskip("ruamel.yaml")

from edgecount.errors import ConfigError
from edgecount.watch.config import (
    CameraConfig,
    PrometheusConfig,
    ServeConfig,
    SettingError,
    WatchConfig,
    load,
    read_secret,
)

WHOLE = """\
# What is watched
model: edgecount-n   # the small one
cameras:
  door:
    source: rtsp://viewer:${DOOR_PASSWORD}@10.0.0.3/stream
    title: Main door
    rate: 5
    regions: {hall: {polygon: [[0, 0], [0.5, 0], [0.5, 1]], excluded: []}}
    lines: {entrance: {start: [0.5, 1], end: [0.5, 0]}}
    ground: {corners: [[0.1, 0], [0.9, 0], [1, 1], [0, 1]], width: 6, depth: 9}
    alarms: {crowded: {region: hall, above: 50, below: 40, by: per_m2}}
    reset: 00:00
serve: {}
history: {path: counts.sqlite, minutes: 31}
sinks:
  jsonl: {every: 2}
  mqtt: {host: broker, tls: false}
  prometheus: {}
"""
WEBHOOK = "webhook: {{url: '{}', ca_file: {}}}"


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", "hunter2")


def written(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in WHOLE
    path = folder / "cameras.yaml"
    path.write_text(WHOLE.replace(old, new, 1) if old else WHOLE)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    text = str(caught.value)
    assert "hunter2" not in text
    assert "\n" not in text
    return text.removeprefix(f"{path}")


def test_everything_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    config = load(path)
    door = config.cameras["door"]
    assert door.source == "rtsp://viewer:hunter2@10.0.0.3/stream"
    assert (door.rate, door.reset, config.model) == (5.0, "00:00", "edgecount-n")
    assert config.serve == ServeConfig()
    assert config.sinks.prometheus == PrometheusConfig()
    assert config.sinks.csv is None
    assert config.sinks.mqtt is not None
    assert config.sinks.mqtt.port == 1883
    assert config.path == path
    assert load(path) == config
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301


def test_settings_as_the_analytics_take_them(tmp_path: Path) -> None:
    door = load(written(tmp_path)).cameras["door"]
    (region,), (line,) = door.region_list(), door.line_list()
    assert (region.name, region.fractions, line.name, line.fractions) == (
        "hall",
        True,
        "entrance",
        True,
    )
    assert door.alarms["crowded"].rule().below == 40
    assert door.ground is not None
    assert door.ground.rectangle().in_size((640, 480)).size == (640, 480)
    assert door.live_options().newest


def test_no_secret_is_shown(tmp_path: Path) -> None:
    config = load(written(tmp_path))
    assert "hunter2" not in repr(config)
    assert config.cameras["door"].shown_source == "rtsp://10.0.0.3/stream"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("cameras:", "precision: int4\ncameras:", "precision: expected one of auto, float32, bf"),
        ("cameras:", "backend: openvin\ncameras:", "backend: expected one of auto, tensorrt, "),
        ("rate: 5", "rate: fast", ":7: cameras.door.rate: expected a number or null, got 'fast'"),
        ("rate: 5", "rat: 5", ":7: cameras.door.rat: unknown key: did you mean rate?"),
        ("rate: 5", "rate: 0", ":7: cameras.door.rate: expected pictures a second, 0.01 to 240"),
        ("rate: 5", "rate: .nan", ":7: cameras.door.rate: expected a finite number"),
        ("rate: 5", "rate: 1\n    rate: 2", ":8: the key rate is given twice"),
        ("rate: 5", "check_picture: yes", "expected true or false, got 'yes'"),
        ("rate: 5", "smooth: {median: -1}", ":7: cameras.door.smooth.median: expected seconds"),
        ("DOOR_PASSWORD", "NOT_SET", ":5: cameras.door.source: the environment variable NOT_SET"),
        ("${DOOR_PASSWORD}", "${a b}", "expected the name of an environment variable"),
        ("    source:", "    #", ":4: cameras.door.source: it is missing"),
        (
            "source: rtsp",
            "source: nvv4l2:rtsp",
            ":5: cameras.door.source: expected the address alone",
        ),
        ("source: rtsp", "source: [rtsp://a:hunter2@h, 1]  #", "got a list of 2"),
        ("Main door", "${DOOR_PASSWORD}\\n", "OK"),
        ("title: Main door", 'title: "${DOOR_PASSWORD}\\n"', "got '${DOOR_PASSWORD}\\n'"),
        ("region: hall", "region: hal", ":11: cameras.door.alarms.crowded.region: expected"),
        (
            "above: 50, below: 40",
            "above: 0",
            "crowded.above: expected more than 0 people, such as 0.5",
        ),
        ("below: 40", "below: 0", "crowded.below: expected more than 0 people, such as 0.5"),
        ("above: 50", "above: 3", "crowded.below: expected at most above (3), got 40"),
        ("    ground:", "    # ", ":11: cameras.door.alarms.crowded.by: expected count or low"),
        (
            "{region: hall, above",
            "{above",
            ".by: expected count or low, got per_m2, for which it n",
        ),
        (
            "[0.1, 0], [0.9, 0], [1, 1]",
            "[0.4, 0.5], [0.6, 0.5], [1, 1]",
            ":8: cameras.door.regions.hall: expected corners below the horizon of the camera's gro",
        ),
        (
            "excluded: []",
            "excluded: [[[0, 0], [1, 0], [1, 1], [0, 1]]]",
            ":8: cameras.door.regions.hall: expected some ground in the picture that is not excl",
        ),
        ("[0.5, 1]], exc", "[320, 240]], exc", "hall.polygon[2]: expected x and y as shares"),
        ("[0.5, 1]], exc", "[0.3, 0]], exc", "hall.polygon: expected points that do not lie on"),
        ("[0.5, 1]], exc", "0.5], exc", "polygon[2]: expected a point [x, y], got 0.5"),
        ("end: [0.5, 0]", "end: [0.5, 1]", "entrance.end: expected another point than start"),
        ("[0.9, 0], [1, 1]", "[1, 1], [0.9, 0]", "ground.corners: expected a convex"),
        ("  door:", "  Front door:", ":4: cameras.Front door: expected an id of 1 to 64"),
        ("  door:", "  1:", ":3: cameras: expected texts for keys, got 1: put it in quotes"),
        ("reset: 00:00", "reset: 24:00", ":12: cameras.door.reset: expected a time"),
        ("reset: 00:00", "reset: 2026-01-01", "expected no date"),
        ("hall: {", "'a/b': {", "regions.a/b: expected a name of 1 to 64"),
        ("serve: {}", "serve:", ":13: serve: expected keys and values, got nothing"),
        (
            "serve: {}",
            "serve: {address: '0.0.0.0:80'}",
            ":13: serve.address: other machines can reach",
        ),
        ("serve: {}", "serve: {address: here}", "expected HOST:PORT"),
        ("serve: {}", "serve: {token_file: /nowhere/token}", "cannot read the secret: No such"),
        ("serve: {}\n", "", "sinks.prometheus: it is served with the page: give serve, too"),
        ("every: 2", "path: counts.sqlite", "jsonl.path: expected a file of its own: history"),
        ("host: broker", "user: me", ":17: sinks.mqtt.host: it is missing"),
        ("tls: false", "ca_file: /nowhere", "sinks.mqtt.ca_file: /nowhere: cannot be read"),
        ("tls: false", "ca_file: /dev/null", "mqtt.ca_file: /dev/null: expected certificates"),
        ("jsonl: {every: 2}", WEBHOOK.format("http://h", "/nowhere"), "of use with an https"),
        ("jsonl: {every: 2}", WEBHOOK.format("https://h", "/nowhere"), "/nowhere: cannot be read"),
        ("minutes: 31", "minutes: 31.5", "history.minutes: expected a whole number, got 31.5"),
        ("title: Main door", "title: *hunter2", ":6: expected YAML: found undefined alias"),
        ("title: Main door", "title: @hunter2", ":6: expected YAML: found character '@'; texts"),
        ("    title: Main door", "\ttitle: Main door", ":6: expected YAML: found a tab; lines are"),
        ("title: Main", "title: !hunter2", ":6: expected no tag"),
        ("end: [0.5, 0]", "end: [[1] [hunter2]]", "expected YAML: found no ',' or ']'"),
        ("    title: Main door", "    title", ":7: expected YAML: found no ':'"),
        ("title: Main door", "title: a: b", ":6: expected YAML: mapping values"),
        ("title: Main door", 'title: "hunter2', "expected YAML: found unexpected end"),
        ("model: edgecount-n", "model: &a [*a]", "expected a text, got a list"),
    ],
)
def test_refusals(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = written(tmp_path, old, new)
    if expected == "OK":
        load(path)
    else:
        assert expected in refusal(path)


@pytest.mark.parametrize(
    ("one", "other"), [(0, "/dev/video0"), ("csi://0", "csi://0?size=1920x1080&rate=30")]
)
def test_a_device_is_read_by_one_camera(one: int | str, other: str) -> None:
    cameras = {"a": CameraConfig(one), "b": CameraConfig(other)}
    with pytest.raises(SettingError, match=r"^cameras\.b\.source: a uses this device"):
        WatchConfig(cameras)
    board = {"a": CameraConfig("csi://0"), "b": CameraConfig("csi://0?size=1280x720")}
    with pytest.raises(SettingError, match=r"^cameras\.b\.source: a uses this device"):
        WatchConfig(board)
    WatchConfig({"a": CameraConfig(0), "b": CameraConfig(1), "c": CameraConfig("rtsp://0")})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "cameras: it is missing"),
        (b"- 1", "config: expected keys and values, got a list of 1"),
        (b"a: 1\n--- \nb: 1", "expected YAML"),
        (b"model: \xff", ":1: expected UTF-8"),
        (b"\x00", "expected YAML"),
        (b"[" * 100, ":1: expected at most 50 levels"),
        (b"#" * 300_000, "expected a config of at most 256 kB"),
        (b"a: " + b"9" * 5000, "expected YAML"),
        (b"model: edgecount-s\x1b[31m", "expected YAML"),
    ],
)
def test_files_that_are_none(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_bytes(data)
    assert expected in refusal(path)


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path = tmp_path / "cameras.yaml"
    path.write_text("\n".join(lines))
    assert "expected at most 100000 values" in refusal(path)


def test_missing_and_odd_files(tmp_path: Path) -> None:
    assert "cannot read the config: No such file" in refusal(tmp_path / "none.yaml")
    assert "cannot read the config: Is a directory" in refusal(tmp_path)
    assert "is a device" in refusal(Path("/dev/null"))


def test_secrets_of_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "token"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    assert read_secret(path) == "hunter2"
    assert not caplog.records
    path.chmod(0o644)
    assert read_secret(path) == "hunter2"
    assert "chmod 600" in caplog.text
    assert "hunter2" not in caplog.text
    for wrong in ("", "\n", "hunter2\nhunter3"):
        path.write_text(wrong)
        assert "expected a secret of one line" in _secret_refusal(path)
    assert "is a device" in _secret_refusal(Path("/dev/zero"))


def _secret_refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_secret(path)
    assert "hunter" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "device"), [("null", None), ("1", 1), ("[0, 1]", (0, 1)), ("[3]", (3,))]
)
def test_a_gpu_or_several_are_read(tmp_path: Path, text: str, device: object) -> None:
    head = "model: edgecount-n   # the small one\n"
    assert load(written(tmp_path)).device is None
    assert load(written(tmp_path, head, f"{head}device: {text}\n")).device == device


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-1", "expected the number of a GPU, 0 or more, or a list of different ones, or null"),
        ("[0, 0]", "expected the number of a GPU, 0 or more, or a list of different ones, or null"),
        ("[]", "expected the number of a GPU, 0 or more, or a list of different ones, or null"),
        ("true", "expected a whole number, a list of whole numbers or null, got true"),
        ("cuda", "expected a whole number, a list of whole numbers or null, got 'cuda'"),
    ],
)
def test_what_names_no_gpu_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    head = "model: edgecount-n   # the small one\n"
    path = written(tmp_path, head, f"{head}device: {text}\n")
    assert f":3: device: {reason}" in refusal(path)


def test_zoom_is_read_and_refused(tmp_path: Path) -> None:
    head = "model: edgecount-n   # the small one\n"
    assert load(written(tmp_path)).zoom == 0
    assert load(written(tmp_path, head, f"{head}zoom: 1\n")).zoom == 1
    assert "zoom: expected 0 to 2, got 3" in refusal(written(tmp_path, head, f"{head}zoom: 3\n"))
