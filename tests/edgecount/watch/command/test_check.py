"""`edgecount watch --check`, and what the command line refuses."""

from __future__ import annotations

import errno
import os
import re
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("ruamel.yaml", reason='needs pip install "edgecount[watch]"')

from edgecount.cli import cli
from edgecount.cli._watch.token import write_token
from edgecount.errors import OutputError
from edgecount.watch.config import load
from edgecount.watch.history.database import open_database

DEPLOY = Path(__file__).resolve().parents[4] / "deploy"
CAMERA = "rtsp://viewer:hunter2@127.0.0.1:1/cam"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(cli, ["watch", *map(str, arguments)], prog_name="edgecount")

    return call


def refusal(result: Result, code: int = 2) -> str:
    """Return the last line of a refusal."""
    assert result.exit_code == code, result.output
    assert "hunter2" not in result.output
    assert not result.stdout
    return result.stderr.splitlines()[-1]


def test_a_good_config(run: Run, write_config: Callable[..., Path]) -> None:
    write_config()
    result = run("--config", "cameras.yaml", "--check")
    assert (result.exit_code, result.output) == (0, "cameras.yaml: 1 camera, fine\n")
    assert not list(Path().glob("counts*"))


def test_cameras_of_the_command_line(run: Run) -> None:
    result = run(CAMERA, "rtsp://hall/cam", "--rate", 2, "--history", "counts.sqlite", "--check")
    assert result.output == "the command line: 2 cameras, fine\n"


def test_the_example_config(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "cameras.yaml").read_text()
    path = Path("cameras.yaml")
    path.write_text(text)
    assert run("--config", path, "--check", "--serve", "127.0.0.1:0").exit_code == 0
    # So are the settings in it that are switched off.
    everything = re.sub(r"^( *)#(?=\S)", r"\1", text, flags=re.MULTILINE)
    everything = re.sub(
        r"^( *source: )(rtsp://192.168.1.20/stream)$", "", everything, count=1, flags=re.MULTILINE
    )
    path.write_text(everything)
    monkeypatch.setenv("DOOR_PASSWORD", "hunter2")
    for name in ("page.token", "viewer.token", "mqtt.password", "webhook.secret"):
        Path(name).write_text(f"the-secret-of-{name}\n")
        Path(name).chmod(0o600)
    result = run("--config", path, "--check", "--serve", "127.0.0.1:0")
    assert (result.exit_code, result.output) == (0, "cameras.yaml: 2 cameras, fine\n")


def test_every_finding_has_a_line(run: Run, write_config: Callable[..., Path]) -> None:
    Path("full").write_text("")
    Path("short.token").write_text("short")
    Path("short.token").chmod(0o600)
    write_config(
        "sinks:\n  jsonl: {every: 0}\n",
        "serve: {address: 127.0.0.1:0, token_file: short.token}\nhistory: {path: full/x.sqlite}\n"
        "keep: {folder: full}\n"
        "sinks:\n  jsonl: {path: /dev/null}\n",
    )
    Path("cameras.yaml").write_text(
        re.sub("model: .*", "model: nobody", Path("cameras.yaml").read_text())
    )
    result = run("--config", "cameras.yaml", "--check")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    starts = ("model: unknown model 'nobody'", "history.path: full/x.sqlite cannot be written",
              "sinks.jsonl.path: /dev/null", "keep.folder: full cannot be",
              "serve.token_file")  # fmt: skip
    assert [line for start, line in zip(starts, lines, strict=True) if start not in line] == []
    assert {line.partition(" cameras.yaml: ")[0] for line in lines} == {"edgecount: error:"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "expected cameras (SOURCE...) or --config FILE"),
        (["clip.mp4"], "SOURCE: expected an address such as rtsp://HOST/..."),
        (["rtsp//viewer:hunter2@host/x"], "got 'rtsp//host/x'"),
        (["--serve", CAMERA], "put --serve after the cameras"),
        (
            [CAMERA, "--serve", "0.0.0.0:80"],
            "create one with  edgecount watch --new-token page.token",
        ),
        ([CAMERA, "--token-file", "x"], "--token-file needs a page: pass --serve, too"),
        ([CAMERA, "--region", "a:0,0;9,9;9,0"], "--region a: expected percent of the picture"),
        ([CAMERA, "--region", "a/b:0%,0%;9%,9%;9%,0%"], "--region a/b: expected a name of 1 to 64"),
        ([CAMERA, "rtsp://x", "--line", "a:0%,0%;9%,9%"], "--line is for a single camera"),
        ([CAMERA, "--jsonl", "a", "--csv", "a"], "--csv: expected a file of its own"),
        (
            [CAMERA, "--jsonl", "a.jsonl", "--csv", "a.1.jsonl"],
            "--jsonl: expected a file of its own: its full files get the name that sinks.csv.path",
        ),
        ([CAMERA, "--jsonl", "-"], "--jsonl: expected a file, got -: on stdout there are lines of"),
        ([CAMERA, "--csv", "-", "--check"], "--csv: expected a file, got -"),
        ([CAMERA, "--config", "x"], "expected cameras as SOURCE... or in --config FILE, not both"),
        (["--config", "x", "--rate", "3"], "--rate cannot be combined with --config"),
        (["--config", "nobody.yaml"], "nobody.yaml: cannot read the config"),
        (["--new-token", "x", CAMERA], "--new-token only writes a token"),
    ],
)
def test_refusals(run: Run, arguments: list[str], line: str) -> None:
    assert line in refusal(run(*arguments))


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("rtsp://", "expected an address such as rtsp://HOST/... or rtsp://HOST:554/..."),
        ("rtsp://viewer:hunter2@:554/x", "expected an address such as rtsp://HOST/..."),
        ("rtsp://viewer:hunter2@host:99999/x", "a port of 1 to 65535 if any, got rtsp://host:99"),
        ("rtsp://host:0/x", "a port of 1 to 65535 if any, got rtsp://host:0/x"),
        ("http://host:80a/x", "a port of 1 to 65535 if any, got http://host:80a/x"),
        ("rtsp://viewer:hunter2#7@host/x", "a / ? or # in a password is written %2F, %3F or %23"),
    ],
)
def test_addresses_that_lead_nowhere(run: Run, source: str, line: str) -> None:
    assert line in refusal(run(source, "--check"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("device: 7", "device: CUDA device 7 was asked for, and "),
        ("backend: tensorrt", "backend tensorrt"),
        ("precision: float16\nbackend: onnxruntime", "precision: float16 was asked for, and "),
        ("zoom: 1", "cameras.door.alarms.packed.by: expected count or per_m2, got low, and with"),
    ],
)
def test_what_the_engine_cannot_do_is_found_as_at_the_start(
    run: Run, write_config: Callable[..., Path], line: str, expected: str
) -> None:
    alarm = "\n    alarms: {packed: {above: 5, by: low}}" if "zoom" in line else ""
    write_config("check_picture: false", "check_picture: false" + alarm)
    path = Path("cameras.yaml")
    path.write_text(f"{line}\n{path.read_text()}")
    found = refusal(run("--config", path, "--check"))
    assert found.startswith(f"edgecount: error: cameras.yaml: {expected}")
    assert refusal(run("--config", path), 2 if alarm else 1) == found


def test_an_engine_of_the_command_line_is_checked_by_its_options(run: Run) -> None:
    line = refusal(run(CAMERA, "--backend", "fake", "--device", 7, "--check"))
    assert line.startswith("edgecount: error: the command line: --device: CUDA device 7 was asked")


def test_alarms_by_low_need_a_model_with_an_interval(
    run: Run, write_config: Callable[..., Path]
) -> None:
    alarms = "alarms: {packed: {above: 5, by: low}, plain: {above: 5}}"
    write_config("check_picture: false", f"check_picture: false\n    {alarms}")
    result = run("--config", "cameras.yaml", "--check")
    assert refusal(result).startswith(
        "edgecount: error: cameras.yaml: cameras.door.alarms.packed.by: expected count or per_m2, "
        "got low, and counts of tiny have no interval"
    )
    assert len(result.stderr.splitlines()) == 1


def test_a_table_does_not_write_into_a_secret(run: Run) -> None:
    write_token(Path("page.token"))
    page = ("--serve", "127.0.0.1:0", "--token-file", "page.token")
    line = refusal(run(CAMERA, *page, "--csv", "page.token", "--check"))
    assert "--csv: expected a file of its own: serve.token_file has the same" in line


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://viewer:hunter2[@host/x", "rtsp://viewer:hunter2]\u2100@host:554/x",
        "rtsp://viewer:hunter2:@[::1]:554/x", "rtsp://[fe80::1%25eth0]/x", "udp://@:5000",
        "http://host/x?user=a@b", "rtmp://host/app",
    ],
)  # fmt: skip
def test_addresses_that_lead_somewhere(run: Run, source: str) -> None:
    assert run(source, "--check").exit_code == 0


def test_an_unknown_protocol_is_a_note(run: Run) -> None:
    result = run("htp://host/x", "--check")
    assert result.exit_code == 0
    assert "note: " in result.stderr
    assert "htp:// is none of rtsp://" in result.stderr


def test_lines_are_not_added_to_files_of_another_kind(run: Run) -> None:
    Path("notes.txt").write_text("one line")
    for option in ("--jsonl", "--csv"):
        line = refusal(run(CAMERA, option, "notes.txt", "--check"))
        assert "notes.txt: it is a file of another kind: name another one" in line
        assert ("put time,camera,kind," in line) == (option == "--csv")
    assert Path("notes.txt").read_text() == "one line"
    Path("notes.txt").write_bytes(b"\xef\xbb\xbftime,camera,kind\n")
    assert run(CAMERA, "--csv", "notes.txt", "--check").exit_code == 0


def test_files_that_are_no_history(run: Run) -> None:
    Path("notes.txt").write_text("not to be lost")
    other = sqlite3.connect("other.sqlite")
    other.execute("CREATE TABLE a (b)")
    other.commit()
    other.close()
    for name, why in (("notes.txt", "no database"), ("other.sqlite", "of another program")):
        line = refusal(run(CAMERA, "--history", name, "--check"))
        assert f"{name}: expected a history of edgecount watch, or no file" in line
        assert why in line
    Path("empty.sqlite").write_bytes(b"")
    open_database(Path("good.sqlite")).close()
    for name in ("empty.sqlite", "good.sqlite"):
        assert run(CAMERA, "--history", name, "--check").exit_code == 0
    assert Path("notes.txt").read_text() == "not to be lost"


def test_an_address_in_use_is_a_note(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = run(CAMERA, "--serve", f"127.0.0.1:{port}", "--check")
    assert result.exit_code == 0
    assert result.stderr.startswith("edgecount: note: serve.address: ")
    assert result.stdout == "the command line: 1 camera, fine\n"


def test_a_new_token(run: Run) -> None:
    result = run("--new-token", "page.token")
    assert result.exit_code == 0
    token = Path("page.token").read_text().strip()
    assert token not in result.output
    assert len(token) >= 40
    assert stat.S_IMODE(os.stat("page.token").st_mode) == 0o600  # noqa: PTH116
    assert "page.token exists" in refusal(run("--new-token", "page.token"), 1)
    result = run(CAMERA, "--serve", "0.0.0.0:0", "--token-file", "page.token", "--check")
    assert result.exit_code == 0, result.output


def test_no_part_of_a_token_stays_on_a_full_disk(monkeypatch, tmp_path: Path) -> None:
    def is_full(_bytes: int) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edgecount.cli._watch.token.secrets.token_urlsafe", is_full)
    with pytest.raises(OutputError, match="No space left"):
        write_token(tmp_path / "page.token")
    assert not any(tmp_path.iterdir())


def test_a_config_of_the_command_line(run: Run) -> None:
    given = (CAMERA + "${X}", "--rate", 2, "--region", "half:0%,0%;50%,0%;50%,100%", "--threads", 1)
    more = (
        "--line",
        "gate:50%,100%;50%,0%",
        "--serve",
        "127.0.0.1:0",
        "--history",
        "counts.sqlite",
    )
    result = run(*given, *more, "--write-config", "new.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "hunter2" not in result.output
    assert stat.S_IMODE(os.stat("new.yaml").st_mode) == 0o600  # noqa: PTH116
    config = load("new.yaml")
    assert (config.threads, config.sinks.jsonl) == (1, None)
    assert config.history is not None
    assert str(config.history.path) == "counts.sqlite"
    camera = config.cameras["127-0-0-1"]
    assert (camera.source, camera.rate) == (CAMERA + "${X}", 2)
    assert camera.regions["half"].polygon == ((0, 0), (0.5, 0), (0.5, 1))
    assert list(camera.lines) == ["gate"]
    assert run("--config", "new.yaml", "--check").exit_code == 0
    assert "new.yaml exists" in refusal(run(*given, "--write-config", "new.yaml"), 1)
    assert "cannot be combined" in refusal(run("--config", "new.yaml", "--write-config", "x.yaml"))


def test_a_missing_extra(
    run: Run, write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config()
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    assert 'pip install "edgecount[watch]"' in refusal(run("--config", "cameras.yaml"), 1)
