import pytest

from edgecount._web.access import SESSION, Access, is_loopback

EDITOR, VIEWER = "an-editors-token-here", "a-viewers-token-here"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_addresses_that_only_this_machine_reaches(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["192.168.1.2", "::", "example.org", "localhost.evil.com"])
def test_addresses_that_others_reach(host):
    assert not is_loopback(host)


def test_tokens_give_roles_and_are_not_shown():
    access = Access(EDITOR, VIEWER)
    roles = [access.role_of(token) for token in (EDITOR, VIEWER, "", "no")]
    assert roles == ["editor", "viewer", None, None]
    assert not access.is_open
    assert Access().is_open
    assert EDITOR not in repr(access)


def test_cookies_end_and_cannot_be_forged():
    now = [1000.0]
    access = Access(EDITOR, VIEWER, lambda: now[0])
    cookie = access.cookie("viewer")
    assert access.role_of_cookie(cookie) == "viewer"
    role, until, seal = cookie.split(".")
    for forged in (
        f"editor.{until}.{seal}",
        f"{role}.{int(until) + 1}.{seal}",
        f"{role}.{until}.",
        f"{role}.{until}",
        "",
        "editor..",
        "editor.9999999999." + "0" * 64,
        "editor.²." + seal,
        "\udcff.\udcff.\udcff",
    ):
        assert access.role_of_cookie(forged) is None
    assert Access(EDITOR, "another-viewers-token").role_of_cookie(cookie) is None
    now[0] += SESSION
    assert access.role_of_cookie(cookie) is None
