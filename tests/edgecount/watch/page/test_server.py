import contextlib
import threading
import urllib.error
import urllib.request

import pytest

from edgecount.watch.page import PageServer


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return answer.read()


def test_it_is_served_from_a_thread_and_ends_with_its_connections(service):
    connect = pytest.importorskip("websockets.sync.client").connect
    from websockets.exceptions import ConnectionClosed

    before = threading.active_count()
    server = PageServer(service, "127.0.0.1:0")
    server.start()
    try:
        assert b"<!doctype html>" in fetch(server.url)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(server.url + "none")
        websocket = connect(server.url.replace("http", "ws") + "ws", compression=None)
        with websocket:
            assert '"type":"state"' in websocket.recv(timeout=10)
            server.stop()
            with contextlib.suppress(ConnectionClosed):
                while True:
                    assert isinstance(websocket.recv(timeout=10), str)
            assert websocket.protocol.close_code in {1001, 1012}
    finally:
        server.stop()
    assert threading.active_count() <= before + 1  # of the client
    assert service.subscriptions[0].is_closed


def test_many_browsers_get_pictures_at_once(service):
    connect = pytest.importorskip("websockets.sync.client").connect
    server = PageServer(service, "127.0.0.1:0")
    server.start()
    try:
        url = server.url.replace("http", "ws") + "ws"
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(connect(url, compression=None)) for _ in range(4)]
            for websocket in sockets:
                websocket.send('{"type":"watch","cameras":{"door":{"image":true}}}')
                websocket.send('{"type":"next","camera":"door"}')
            for websocket in sockets:
                while not isinstance(websocket.recv(timeout=10), bytes):
                    pass
    finally:
        server.stop()


def test_two_pages_on_one_host_keep_their_logins_apart(service, tmp_path):
    httpx = pytest.importorskip("httpx")
    tokens = [tmp_path / name for name in ("one", "two")]
    for token in tokens:
        token.write_text(token.name * 12)
        token.chmod(0o600)
    servers = [PageServer(service, "127.0.0.1:0", token_file=str(token)) for token in tokens]
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        browser = stack.enter_context(httpx.Client())
        for server, token in zip(servers, tokens, strict=True):
            origin = server.url.rstrip("/")
            answer = browser.post(
                f"{origin}/login", data={"token": token.name * 12}, headers={"Origin": origin}
            )
            assert answer.headers["location"] == "/"
        for server in servers:
            assert browser.get(f"{server.url}api/state").status_code == 200
