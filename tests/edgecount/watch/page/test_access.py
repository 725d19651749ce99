import stat
from pathlib import Path

import pytest

from edgecount.errors import ConfigError
from edgecount.watch.page.server import PageServer, parse_address
from edgecount.watch.page.tokens import COOKIE, read_access
from stand_in import EDITOR, VIEWER, StandIn


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def token_file(folder: Path, text: str) -> str:
    path = folder / "page.token"
    path.write_text(text)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return str(path)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_loopback_needs_no_token(host):
    assert read_access(host, None, None).is_open


@pytest.mark.parametrize("host", ["192.168.1.2", "::", "example.org", "localhost.evil.com"])
def test_other_addresses_need_a_token_and_say_how_to_make_one(host):
    with pytest.raises(ConfigError, match=r"needs a token: .*--new-token page.*token_file"):
        read_access(host, None, None)


def test_tokens_are_read_from_files(tmp_path):
    access = read_access("0.0.0.0", token_file(tmp_path, f"{EDITOR}\n"), None)  # noqa: S104
    assert access.role_of(EDITOR) == "editor"
    assert access.role_of("") is None
    assert EDITOR not in repr(access)


@pytest.mark.parametrize("text", ["", "short", "two words are not one token", "ä" * 20, "x" * 600])
def test_a_file_without_a_good_token_is_refused_without_showing_it(tmp_path, text):
    with pytest.raises(ConfigError, match=r"serve.token_file: expected one line of 16 to") as got:
        read_access("127.0.0.1", token_file(tmp_path, text), None)
    assert not text or text not in str(got.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.token cannot be read: No such file"):
        read_access("127.0.0.1", None, str(tmp_path / "none.token"))


def test_one_token_cannot_be_two_roles(tmp_path):
    path = token_file(tmp_path, EDITOR)
    with pytest.raises(ConfigError, match="expected another token"):
        read_access("127.0.0.1", path, path)


def test_without_a_token_nothing_is_answered(client_of):
    client = client_of(tokens=True)
    for path in (
        "/api/state",
        "/api/cameras/door/snapshot.jpg",
        "/metrics",
        "/static/main.js",
        "/x",
    ):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.json()["error"].startswith("a token is needed")
    assert client.get("/").headers["location"] == "/login"


def test_roles(client_of, service):
    client = client_of(tokens=True)
    assert client.get("/api/state", headers=bearer(VIEWER)).json()["role"] == "viewer"
    assert client.get("/api/state", headers=bearer(EDITOR)).json()["role"] == "editor"
    path = "/api/cameras/door/alarms/crowded/acknowledge"
    assert client.post(path, headers=bearer(VIEWER)).status_code == 403
    assert service.calls == []
    assert client.post(path, headers=bearer(EDITOR)).status_code == 200


def test_login_and_logout(client_of):
    client = client_of(tokens=True)
    assert client.get("/login").status_code == 200
    wrong = client.post("/login", data={"token": "no"})
    assert (wrong.status_code, wrong.headers["location"]) == (303, "/login?wrong")
    answer = client.post("/login", data={"token": f" {VIEWER} "})
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    for part in (COOKIE, "httponly", "samesite=strict", "path=/"):
        assert part in cookie
    assert "secure" not in cookie
    assert VIEWER not in cookie
    assert client.get("/api/state").json()["role"] == "viewer"
    for _ in range(2):  # a session may have ended before
        assert client.post("/logout").headers["location"] == "/login"
        assert client.get("/api/state").status_code == 401


def test_behind_tls_the_cookie_is_secure(client_of):
    client = client_of(tokens=True)
    origin = {"Origin": "https://127.0.0.1:8080"}
    answer = client.post("/login", data={"token": EDITOR}, headers=origin)
    assert "secure" in answer.headers["set-cookie"].lower()


def test_guessing_is_slowed_down(client_of):
    client = client_of(tokens=True)
    codes = [client.post("/login", data={"token": f"{i}"}).status_code for i in range(10)]
    assert codes == [303] * 8 + [429] * 2
    form = client.post("/login", data={"token": EDITOR})
    assert "Too many wrong tokens; wait " in form.text
    assert 'name="token"' in form.text
    answer = client.get("/api/state", headers=bearer(EDITOR))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


def test_addresses():
    assert parse_address("127.0.0.1:9") == ("127.0.0.1", 9)
    assert parse_address("[::1]:0") == ("::1", 0)
    assert parse_address("cam-host") == ("cam-host", 8080)
    for wrong in ("", ":80", "http://x:80", "a:b", "x:99999", "::1", "a b:1"):
        with pytest.raises(ConfigError, match="expected HOST:PORT"):
            parse_address(wrong)


def test_the_server_does_not_start_without_a_token():
    with pytest.raises(ConfigError, match="needs a token"):
        PageServer(StandIn(), "0.0.0.0:0")
