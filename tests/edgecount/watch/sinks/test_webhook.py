"""Webhooks to a real HTTP server that fails in every way, and a spool that outlives kills."""

import base64
import hashlib
import hmac
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

pytest.importorskip("urllib3", reason="pip install edgecount[watch]")

from receiving import Receiver

from edgecount.errors import ConfigError, EdgeCountError, OutputError
from edgecount.watch.sinks import post, webhook
from edgecount.watch.sinks.base import SinkThread
from edgecount.watch.sinks.post import Outcome, Poster, sign
from edgecount.watch.sinks.spool import Spool
from edgecount.watch.sinks.webhook import Webhook

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(webhook, "_FIRST", 0.02)
    monkeypatch.setattr(webhook, "_LONGEST", 0.1)


def test_a_message_is_signed(receiver, tmp_path, make_event, until):
    sink = Webhook(receiver.url, tmp_path / "new" / "spool.sqlite", secret=lambda: SECRET)
    sink.open()
    sink.event(event := make_event())
    until(lambda: receiver.requests)
    until(lambda: sink.backlog().waiting == 0)
    sink.close()
    ((path, headers, body),) = receiver.requests
    assert path == "/hook/s3cret"
    assert json.loads(body) == {"type": "event", **event.to_dict()}
    assert headers["webhook-id"] == headers["Idempotency-Key"] == event.id
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 600
    signed = f"{event.id}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(b"k" * 24, signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert headers["Content-Type"] == "application/json"


def test_a_known_signature():
    """The example of the specification's libraries."""
    found = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
        b'{"test": 2432232314}',
    )  # fmt: skip
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign("plain", "a", "1", b"") != sign("other", "a", "1", b"")
    with pytest.raises(ConfigError, match="secret: expected base64 after whsec_") as caught:
        sign("whsec_?!", "a", "1", b"")
    assert "?!" not in str(caught.value)


def broken(handler):
    handler.close_connection = True


def half(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    handler.close_connection = True


def nonsense(handler):
    handler.wfile.write(b"\x00\xff\r\n\r\n" * 10)
    handler.close_connection = True


def silent(handler):
    time.sleep(0.6)
    handler.close_connection = True


def trickle(handler, head=b"HTTP/1.1 "):
    """Answer a letter at a time, for as long as somebody listens."""
    handler.wfile.write(head)
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.01)


def endless(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000)
    handler.close_connection = True


def test_a_receiver_that_fails_in_every_way_gets_everything(receiver, tmp_path, make_event, until):
    there = {"Location": "http://example.invalid/other"}
    busy, full = (429, {"Retry-After": "0"}, b""), (503, {"Retry-After": "soon"}, b"x" * 90_000)
    away, moved, lost = (302, there, b""), (307, there, b""), (301, {}, b"")
    receiver.answers += [500, 503, busy, 408, full, broken, half, nonsense, silent, away, moved]
    receiver.answers += [lost, 502]
    failures = len(receiver.answers)
    sink = Webhook(receiver.url, tmp_path / "spool.sqlite", timeout=0.3)
    thread = SinkThread(sink)
    events = [make_event(at=number) for number in range(3)]
    for event in events:
        thread.put(event)
    until(lambda: len(receiver.requests) >= failures + 3)
    until(lambda: thread.health().waiting == 0)
    health = thread.health()
    assert (health.delivered, health.dropped, health.error) == (3, 0, None)
    assert set(receiver.ids()[-3:]) == {event.id for event in events}
    thread.close()


@pytest.mark.parametrize("is_tls", [False, True])
def test_an_answer_that_never_ends_is_broken_off(request, monkeypatch, is_tls):
    folder = request.getfixturevalue("certificates") if is_tls else None
    with Receiver(certificates=folder) as receiver:
        receiver.answers += [trickle, 204]
        poster = Poster(receiver.url, None, ca_file=folder and folder / "ca.pem")
        monkeypatch.setattr(post, "_WHOLE", 0.05)
        answer = poster.post("a", b"{}")
        assert answer.outcome is Outcome.LATER
        assert answer.reason.endswith("gave no whole answer in 0.5 s")
        monkeypatch.setattr(post, "_WHOLE", 6.0)
        assert poster.post("a", b"{}").outcome is Outcome.TAKEN
        # What was taken is not sent again, though the rest of the answer does not come.
        receiver.answers += [lambda one: trickle(one, b"HTTP/1.1 200 OK\r\n\r\n"), 204]
        monkeypatch.setattr(post, "_WHOLE", 0.2)
        assert poster.post("b", b"{}").outcome is Outcome.TAKEN
        monkeypatch.setattr(post, "_WHOLE", 6.0)
        assert poster.post("c", b"{}").outcome is Outcome.TAKEN
        poster.close()
        assert len(receiver.requests) >= 3


def test_an_error_of_ours_does_not_end_the_thread(
    receiver, tmp_path, make_event, until, monkeypatch, caplog
):
    real, tries = Poster.post, []

    def fail(self, identity, body):
        tries.append(identity)
        if len(tries) < 4:
            raise RuntimeError("a mistake")
        return real(self, identity, body)

    monkeypatch.setattr(Poster, "post", fail)
    sink = Webhook(receiver.url, tmp_path / "spool.sqlite")
    sink.open()
    sink.event(make_event())
    until(lambda: len(tries) > 1)
    until(lambda: receiver.requests and sink.backlog().waiting == 0)
    assert sink.backlog().error is None
    sink.close()
    assert [record.getMessage() for record in caplog.records] == [
        "webhook: it could not be tried (RuntimeError)"
    ]


def test_what_is_refused_is_given_up_and_counted(receiver, tmp_path, make_event, until):
    receiver.answers += [400, 410, 204]
    spool = tmp_path / "spool.sqlite"
    sink = Webhook(receiver.url, spool)
    sink.open()
    for _ in range(3):
        sink.event(make_event())
    until(lambda: sink.backlog().waiting == 0)
    assert len(receiver.requests) == 3
    assert sink.backlog().dropped == 2
    assert sink.backlog().error is None
    sink.close()
    # What earlier runs gave up is not counted again.
    again = Webhook(receiver.url, spool)
    again.open()
    again.close()
    assert again.backlog().dropped == 0


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (200, Outcome.TAKEN, ""),
        ((200, {}, b"x" * 200_000), Outcome.TAKEN, ""),
        (endless, Outcome.TAKEN, ""),
        (404, Outcome.REFUSED, "answered 404"),
        (425, Outcome.LATER, "answered 425"),
        ((303, {"Location": "/elsewhere"}, b""), Outcome.LATER, "answered 303: it points to 127"),
        ((308, {"Location": "http://[::bad"}, b""), Outcome.LATER, "points to nowhere"),
        (broken, Outcome.LATER, "broke off the connection"),
        (silent, Outcome.LATER, "gave no answer in 0.3 s"),
    ],
)
def test_answers(receiver, answer, outcome, reason):
    receiver.answers.append(answer)
    poster = Poster(receiver.url, None, timeout=0.3)
    found = poster.post("a", b"{}")
    assert found.outcome is outcome
    assert reason in found.reason
    assert "s3cret" not in found.reason
    assert poster.post("b", b"{}").outcome is Outcome.TAKEN
    poster.close()


def test_redirects_stay_with_their_host(receiver):
    with Receiver() as other:
        receiver.answers += [
            (307, {"Location": "/new"}, b""),
            204,
            (307, {"Location": other.url}, b""),
            *[(308, {"Location": "/round"}, b"")] * 3,
            (429, {"Retry-After": "120"}, b""),
        ]
        poster = Poster(receiver.url.replace("//", "//me:p%40ss@"), "key")
        assert poster.post("a", b"1").outcome is Outcome.TAKEN
        away = poster.post("b", b"2")
        assert (away.outcome, away.pause) == (Outcome.LATER, 0)
        assert "it points to 127.0.0.1" in away.reason
        assert poster.post("c", b"3").outcome is Outcome.LATER
        assert poster.post("d", b"4").pause == 120
        poster.close()
        assert other.requests == []
    paths = [path for path, _, _ in receiver.requests]
    assert paths[:3] == ["/hook/s3cret", "/new", "/hook/s3cret"]
    credentials = base64.b64encode(b"me:p@ss").decode()
    assert {headers["Authorization"] for _, headers, _ in receiver.requests} == {
        f"Basic {credentials}"
    }


def test_a_receiver_that_is_away(tmp_path, make_event, until):
    with Receiver() as first:
        port, url = first.port, first.url
    sink = Webhook(url, tmp_path / "spool.sqlite")
    sink.open()
    events = [make_event(at=number) for number in range(5)]
    for event in events:
        sink.event(event)
    until(lambda: "cannot be reached: Connection refused" in (sink.backlog().error or ""))
    assert sink.backlog().waiting == 5
    assert "s3cret" not in sink.backlog().error
    with Receiver(port) as back:
        until(lambda: sink.backlog().waiting == 0)
        assert set(back.ids()) == {event.id for event in events}
    assert sink.backlog().error is None
    sink.close()


KILLED = """
import sys
from edgecount.watch.readings import Event
from edgecount.watch.sinks.webhook import Webhook
sink = Webhook(sys.argv[1], sys.argv[2])
sink.open()
for number in range(10_000):
    event = Event("door", 1.7e9 + number, "alarm", "crowded", "raised")
    sink.event(event)
    print(event.id, flush=True)
"""


def test_https_with_an_authority_of_our_own(tmp_path, certificates, make_event, until):
    with Receiver(certificates=certificates) as receiver:
        spool, ca_file = tmp_path / "spool.sqlite", tmp_path / "ca.pem"
        ca_file.write_bytes((certificates / "other.pem").read_bytes())
        sink = Webhook(receiver.url, spool, secret=SECRET, ca_file=ca_file)
        thread = SinkThread(sink)
        for _ in range(2):
            thread.put(make_event())
        until(lambda: thread.health().error)
        # What OpenSSL calls it depends on its version.
        host = f"https://127.0.0.1:{receiver.port}"
        told = rf"{host} has a certificate that is not trusted \([^()]+\): for an authority of "
        assert re.fullmatch(told + "your own give ca_file", thread.health().error)
        assert receiver.requests == []
        ca_file.write_text("no certificate\n")
        until(lambda: "expected certificates in PEM form" in (thread.health().error or ""))
        # Nothing is lost, and a file that is mended holds without a restart.
        ca_file.write_bytes((certificates / "ca.pem").read_bytes())
        until(lambda: len(receiver.requests) == 2)
        until(lambda: thread.health().waiting == 0)
        assert (thread.health().error, thread.health().dropped) == (None, 0)
        thread.close()


def test_certificates_that_are_not_the_receivers(certificates):
    with Receiver(certificates=certificates) as receiver:
        port = receiver.port
        for url, ca_file, reason in (
            (receiver.url, None, "has a certificate that is not trusted"),
            (f"https://localhost:{port}/", certificates / "ca.pem", "is not valid for 'localhost'"),
            (f"http://127.0.0.1:{port}/", None, "broke off the connection"),
        ):
            poster = Poster(url, None, ca_file=ca_file, timeout=5)
            answer = poster.post("a", b"{}")
            poster.close()
            assert answer.outcome is Outcome.LATER
            assert reason in answer.reason
            assert "\n" not in answer.reason
    with Receiver() as plain:
        poster = Poster(f"https://127.0.0.1:{plain.port}/", None, timeout=5)
        assert "does not agree on TLS" in poster.post("a", b"{}").reason
        poster.close()


def test_secrets_and_certificates_that_cannot_be_read(receiver, tmp_path):
    def unreadable():
        raise ConfigError("secret: cannot be read")

    poster = Poster(receiver.url, unreadable)
    with pytest.raises(EdgeCountError, match="secret: cannot be read"):
        poster.post("a", b"{}")
    poster = Poster("https://127.0.0.1:1/", None, ca_file=tmp_path / "none.pem")
    with pytest.raises(EdgeCountError, match=r"ca_file .*none.pem: cannot be read: No such file"):
        poster.post("a", b"{}")
    poster.close()


def test_a_kill_loses_no_event_that_was_taken(receiver, tmp_path, until):
    spool = tmp_path / "spool.sqlite"
    receiver.answers += [503] * 3
    command = [sys.executable, "-c", KILLED, receiver.url, str(spool)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        stored = [process.stdout.readline().strip() for _ in range(25)]
        process.send_signal(signal.SIGKILL)
        stored += process.stdout.read().split("\n")[:-1]
    sink = Webhook(receiver.url, spool)
    sink.open()
    until(lambda: sink.backlog().waiting == 0)
    sink.close()
    assert set(stored) <= set(receiver.ids())


def test_a_bounded_spool(tmp_path):
    spool = Spool(tmp_path / "spool.sqlite", 3)
    spool.open()
    for number in range(5):
        spool.put(f"{number}", b"x")
    spool.put("4", b"again")
    assert spool.counts() == (3, 2)
    first = spool.next()
    assert (first.id, first.body) == ("2", b"x")
    spool.postpone(first)
    assert spool.next().id == "3"
    spool.delete(spool.next(), dropped=False)
    spool.delete(first, dropped=True)
    assert spool.counts() == (1, 3)


def test_a_damaged_spool_is_put_aside(tmp_path, caplog):
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"no database at all" * 100)
    spool = Spool(path, 3)
    spool.open()
    spool.put("a", b"x")
    assert spool.counts() == (1, 0)
    assert (tmp_path / "spool.sqlite.damaged").read_bytes().startswith(b"no database")
    assert "is damaged: put aside" in caplog.text


def test_places_that_hold_no_spool(tmp_path, make_event):
    (tmp_path / "file").touch()
    for path, reason in ((tmp_path, "is a folder"), (tmp_path / "file" / "x", "is no folder")):
        with pytest.raises(OutputError, match=f"cannot write .*{reason}"):
            Webhook("http://localhost/", path).open()
    sink = Webhook("http://127.0.0.1:9/", tmp_path / "spool.sqlite")
    sink.open()
    with sqlite3.connect(tmp_path / "spool.sqlite") as other:
        other.execute("DROP TABLE messages")
    other.close()
    with pytest.raises(OutputError, match=r"cannot write .*spool.sqlite: no such table"):
        sink.event(make_event())
    sink.close()


@pytest.mark.parametrize(
    "url", ["", "example.org/hook", "ftp://example.org", "http://", "http://a:b@:1/", "http://x:y/"]
)
def test_addresses_that_are_none(url):
    with pytest.raises(ConfigError, match="url: expected an address such as https://"):
        Webhook(url, "spool.sqlite")
