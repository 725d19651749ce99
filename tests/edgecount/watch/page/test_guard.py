"""Attacks on the page from other sites, by other names, and with too much."""

import socket

import pytest
from starlette.websockets import WebSocketDisconnect

from stand_in import EDITOR, WS

ACKNOWLEDGE = "/api/cameras/door/alarms/crowded/acknowledge"


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "evil.com:8080",
        "127.0.0.1.evil.com",
        "localhost@evil.com",
        "192.168.1.9:8080",
        "",
        "a/b",
        "127.0.0.1:x",
    ],
)
def test_a_name_that_was_bent_to_this_machine_is_refused(client, host):
    answer = client.get("/api/state", headers={"Host": host})
    assert answer.status_code == 421
    assert "serve.hosts" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost:8080", "LOCALHOST", "[::1]:8080", "127.0.0.1"])
def test_its_own_names_are_taken(client, host):
    assert client.get("/api/state", headers={"Host": host}).status_code == 200


def test_names_of_the_config_are_taken(client_of):
    client = client_of(tokens=True, listens="0.0.0.0", hosts=["Counts.example.org"])  # noqa: S104
    token = {"Authorization": f"Bearer {EDITOR}"}
    for host in ("counts.example.org", "counts.example.org:443", "10.0.0.4:8080"):
        assert client.get("/api/state", headers={"Host": host, **token}).status_code == 200
    own = f"{socket.gethostname()}.local"
    assert client.get("/api/state", headers={"Host": own, **token}).status_code == 200
    assert client.get("/api/state", headers={"Host": "example.org", **token}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1:8080.evil.com"},
        {"Origin": "file://127.0.0.1:8080"},
        {"Origin": "http://["},
        {"Origin": "http://[x]:8080"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_change_nothing_and_watch_nothing(client, service, headers):
    assert client.post(ACKNOWLEDGE, headers=headers).status_code == 403
    assert service.calls == []
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(WS, headers=headers):
        pass


@pytest.mark.parametrize("site", ["cross-site", "same-site", "other"])
def test_other_sites_include_nothing(client, site):
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "image"}
    for path in ("/api/cameras/door/snapshot.jpg", "/static/main.js", "/api/state", "/metrics"):
        assert client.get(path, headers=headers).status_code == 403
    # But they may link to the page.
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=headers).status_code == 200


def test_the_page_itself_changes_things(client, service):
    headers = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
    assert client.post(ACKNOWLEDGE, headers=headers).status_code == 200
    assert service.calls == [("acknowledge", "door", "crowded")]


def test_no_other_site_reads_answers(client):
    headers = {"Origin": "http://evil.com", "Access-Control-Request-Method": "PUT"}
    answer = client.options("/api/cameras/door/shapes", headers=headers)
    assert answer.status_code in {403, 405}
    answer = client.get("/api/state", headers={"Origin": "http://evil.com"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/api/state", "/api/none", "/static/main.js", "/login"])
def test_every_answer_has_the_headers(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


def test_what_is_private_is_not_kept(client):
    for path in ("/api/state", "/api/cameras/door/snapshot.jpg", "/"):
        assert client.get(path).headers["cache-control"] == "no-store"


def test_failures_tell_nothing_and_carry_the_headers(client, service, monkeypatch):
    monkeypatch.setattr(service, "sinks", lambda: 1 / 0)
    answer = client.get("/api/state")
    assert answer.status_code == 500
    assert "division" not in answer.text
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static//etc/passwd",
        "/static/vendor",
        "/static/",
        "/static/main.js%00",
        "/static/....//server.py",
        "/static/.",
    ],
)
def test_paths_lead_nowhere(client, path):
    answer = client.get(path)
    assert answer.status_code in {404, 422}
    assert "edgecount" not in answer.text


@pytest.mark.parametrize("camera", ["..", "%2e%2e", "door%00", "DOOR", "x" * 65, "a%2fb", "none"])
def test_cameras_that_are_none(client, camera):
    assert client.get(f"/api/cameras/{camera}/snapshot.jpg").status_code == 404


def test_large_bodies_and_long_addresses(client):
    body = b"x" * (300 * 1024)
    assert client.put("/api/cameras/door/shapes", content=body).status_code == 413
    assert client.put("/api/cameras/door/shapes", content=iter([body])).status_code == 413
    wrong = {"Content-Length": "-5"}
    assert client.put("/api/cameras/door/shapes", content=b"", headers=wrong).status_code == 413
    assert client.get("/api/history?what=" + "x" * 5000).status_code == 414


def test_changes_are_slowed_down(client):
    codes = [client.post(ACKNOWLEDGE).status_code for _ in range(62)]
    assert codes[:60] == [200] * 60
    assert codes[-1] == 429


def test_read_only(client_of, service):
    client = client_of(read_only=True)
    for answer in (
        client.post(ACKNOWLEDGE),
        client.post("/api/cameras/door/keep"),
        client.put("/api/cameras/door/shapes", json={"regions": {}}),
        client.delete("/api/state"),
    ):
        assert answer.status_code == 403
        assert "read-only" in answer.json()["error"]
    assert service.calls == []
    assert client.get("/api/state").json()["read_only"] is True
