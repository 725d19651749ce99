"""The guard before an app of one route."""

import pytest

from edgecount._web.access import Access
from edgecount._web.guard import Guard, Limits, client_of

TOKEN = "a-token-of-a-test"  # noqa: S105


@pytest.fixture
def client_behind(app, make_client):
    """Make a client of the app behind a guard, by the limits that it is given."""

    def make(*, access=None, listens="127.0.0.1", hosts=(), **limits):
        named = Limits("a_cookie", "it has another name", **limits)
        guard = Guard(app, access=access or Access(), limits=named, listens=listens, hosts=hosts)
        return make_client(guard)

    return make


def test_it_answers_in_the_words_of_its_page(client_behind):
    client = client_behind(read_only="nothing is changed here")
    other = client.get("/api/told", headers={"Host": "evil.com"})
    assert (other.status_code, other.json()) == (421, {"error": "it has another name"})
    change = client.post("/api/told", json={})
    assert (change.status_code, change.json()) == (403, {"error": "nothing is changed here"})
    assert client.get("/api/told").status_code == 200


def test_limits_are_those_of_the_page(client_behind):
    client = client_behind(body=1024, writes=2)
    large = client.post("/api/told", content=b"x" * 1025)
    assert (large.status_code, large.json()) == (413, {"error": "expected 1 kB at most"})
    assert client.post("/api/told", json={}).status_code == 200
    assert client.post("/api/told", json={}).status_code == 429


def test_a_login_is_the_cookie_of_its_name(client_behind):
    access = Access(TOKEN)
    client = client_behind(access=access)
    assert client.get("/api/told").status_code == 401
    seal = access.cookie("editor")
    assert client.get("/api/told", headers={"Cookie": f"other={seal}"}).status_code == 401
    answer = client.get("/api/told", headers={"Cookie": f"a_cookie={seal}"})
    assert answer.json() == {"role": "editor"}


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("unix", "unix"),
    ],
)
def test_a_network_of_ipv6_is_one_client(address, who):
    assert client_of({"client": (address, 1)}) in {who, "fe80::/64"}
    assert client_of({}) == "unknown"
