"""Addresses as they are shown."""

from __future__ import annotations

import pytest

from edgecount.errors import SourceError
from edgecount.runtime.sources.live import LiveOptions, LiveSource
from edgecount.runtime.sources.live.opening import address_of
from edgecount.runtime.sources.open import open_sources
from edgecount.runtime.sources.urls import shown_url, without_user


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.7:554/live/door", "rtsp://10.0.0.7:554/live/door"),
        ("rtsp://user:secret@10.0.0.7:554/live/door", "rtsp://10.0.0.7:554/live/door"),
        ("RTSP://user:secret@host", "RTSP://host"),
        ("rtsp://user@host/x", "rtsp://host/x"),
        ("rtsp://user:p%40ss@[::1]:554/x", "rtsp://[::1]:554/x"),
        ("rtsp://user:sec@ret@host/x", "rtsp://host/x"),
        ("rtsp://user:sec/ret@host:554/x", "rtsp://host:554/x"),
        ("rtsp://user:sec?ret@host/x", "rtsp://host/x"),
        ("http://host/a@b.mp4", "http://host/a@b.mp4"),
        ("http://host:80/a@b.mp4?res=hd", "http://host:80/a@b.mp4?res=hd"),
        ("http://host/?user=admin&pwd=secret&res=hd", "http://host/?user=***&pwd=***&res=hd"),
        (
            "https://host/a.mp4?X-Amz-Signature=secret&Expires=9",
            "https://host/a.mp4?X-Amz-Signature=***&Expires=9",
        ),
        (
            "rtsp://host/user=admin_password=secret_channel=1.sdp",
            "rtsp://host/user=***_password=***_channel=1.sdp",
        ),
        ("cannot open rtmp://user:secret@host/x: no", "cannot open rtmp://host/x: no"),
        ("rtsp://user:12/34@10.0.0.7:554/x", "rtsp://10.0.0.7:554/x"),
        ("rtsp://us/er:sec@host/x", "rtsp://host/x"),
        ("rtsp://user:se@cr/et@host/x", "rtsp://host/x"),
        ("rtsp://10.0.0.7:554/a@b/x", "rtsp://10.0.0.7:554/a@b/x"),
        ("no such file: rtsp:/user:secret@host/x", "no such file: rtsp:/host/x"),
        ("rtsp//user:secret@host/x", "rtsp//host/x"),
        ("/data/http/a@b.mp4", "/data/http/a@b.mp4"),
        ("no abfss://march@acct.dfs/a.png", "no abfss://march@acct.dfs/a.png"),
        ("abfs://key:secret@acct.dfs/a.png", "abfs://acct.dfs/a.png"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_secrets_are_left_out(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_a_container_of_azure_is_no_user() -> None:
    for name in ("abfss://march@acct.dfs.core.windows.net/a.jpg", "wasb://c@acct/x@y", "a@b.png"):
        assert without_user(name) == name
    assert without_user("abfs://key:secret@acct/a.jpg") == "abfs://acct/a.jpg"
    assert without_user("https://user@host/a.jpg") == "https://host/a.jpg"


@pytest.mark.parametrize(
    "text",
    [
        "http://a/" + "pass" * 20_000,
        "http://a/" + "pass=" * 20_000,
        "http://a/" + "a" * 50_000,
        "a" * 100_000,
        "http:/" + ":" * 100_000,
    ],
)
def test_long_texts_take_no_time(text: str) -> None:
    """Hours, if the time grew with the cube of the length; a camera may have sent the text."""
    assert len(shown_url(text)) <= len(text)


def test_sources_and_errors_show_no_secret() -> None:
    url = "rtsp://user:secret@127.0.0.1:9/door?token=secret"
    [source] = open_sources(url)
    assert source.name == "rtsp://127.0.0.1:9/door?token=***"
    for spec in (url, url.replace("rtsp", "rtmp"), url.replace("rtsp", "http")):
        with pytest.raises(SourceError) as error:
            list(open_sources(spec, live=LiveOptions(reconnect=False))[0].frames())
        assert "secret" not in str(error.value)
        assert "127.0.0.1:9/door" in str(error.value)


@pytest.mark.parametrize("url", [" rtsp://user:se cret@host/x", "rtsp://user:se\ncret@host/x\n"])
def test_spaces_in_a_password(url: str) -> None:
    assert LiveSource(url).name == open_sources(url)[0].name == "rtsp://host/x"


def test_the_address_is_used_as_it_is() -> None:
    for url in ("HTTP://User:Secret@host/", " http://User:Secret@host/"):
        assert address_of(url) == "http://User:Secret@host/"
