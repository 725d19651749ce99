import contextlib
import socket
import urllib.request

import pytest

from edgecount._web.serving import AppServer
from edgecount.errors import ConfigError


def serve(app, host="127.0.0.1", port=0):
    return AppServer(app, host, port, setting="the_setting")


@contextlib.contextmanager
def served(app):
    """Serve an app; gives the server and its host and port."""
    server = serve(app)
    server.start()
    try:
        yield server, ("127.0.0.1", int(server.url.rstrip("/").rpartition(":")[2]))
    finally:
        server.stop()


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return answer.read()


def test_an_address_that_is_taken(app):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = serve(app, port=taken.getsockname()[1])
        with pytest.raises(
            ConfigError, match=r"^the_setting: .* cannot be listened at: Address already in use"
        ):
            server.start()
        server.stop()


def test_an_address_that_is_none(app):
    server = serve(app, "no.such.host.invalid")
    with pytest.raises(ConfigError, match=r"^the_setting: .* no address of this machine"):
        server.start()


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
def test_who_asks_for_nothing_is_hung_up_on(app, monkeypatch, said):
    monkeypatch.setattr("edgecount._web.patience._SECONDS", 0.2)
    with served(app) as (server, address):
        with socket.create_connection(address, timeout=30) as one:
            one.sendall(said)
            assert one.recv(1) == b""
        assert fetch(server.url + "api/told")


def test_who_reads_no_answers_is_hung_up_on(app, monkeypatch):
    monkeypatch.setattr("edgecount._web.patience._SLOWEST", 0.2)
    with served(app) as (server, address):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.settimeout(30)
            one.connect(address)
            ask = b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            with contextlib.suppress(ConnectionError):
                while True:
                    one.sendall(ask * 100)  # else this times out
        assert fetch(server.url + "api/told")


def test_connections_are_limited_so_that_files_are_left_for_cameras(app, monkeypatch):
    monkeypatch.setattr("edgecount._web.patience._MOST", 3)
    with served(app) as (_, address), contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(address, timeout=30))
        another = stack.enter_context(socket.create_connection(address, timeout=30))
        with contextlib.suppress(ConnectionResetError):  # it is hung up on in either way
            assert another.recv(1) == b""
