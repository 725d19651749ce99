"""MQTT against a real Mosquitto: states, discovery, lost brokers, TLS."""

import json
import shutil
import signal
import socket
import subprocess
import sys

import pytest

pytest.importorskip("paho.mqtt", reason="pip install edgecount[watch]")

from edgecount.errors import ConfigError, EdgeCountError, OutputError
from edgecount.watch.readings import AlarmStatus
from edgecount.watch.sinks import base
from edgecount.watch.sinks.base import SinkThread
from edgecount.watch.sinks.discovery import slug
from edgecount.watch.sinks.mqtt import Mqtt
from edgecount.watch.sinks.watched import Watched
from mosquitto import Listener, Mosquitto, free_port

OPEN = "allow_anonymous true"
DOOR = Watched("Main door", ("hall",), ("entrance",), ("crowded",), ground=True)


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path, OPEN) as running:
        yield running


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr(base, "_FIRST", 0.05)
    monkeypatch.setattr(base, "_LONGEST", 0.2)


def sink_to(broker, **given):
    return Mqtt("127.0.0.1", broker.port, every=0, **{"cameras": {"door": DOOR}, **given})


def test_states_are_kept_and_events_told(broker, make_reading, make_event, until):
    sink = sink_to(broker)
    sink.open()
    sink.reading(make_reading())
    sink.event(raised := make_event(camera="door"))
    sink.event(make_event("acknowledged"))
    sink.reading(make_reading(camera="stranger"))
    with Listener(broker.port) as listener:
        until(lambda: len(listener.kept) >= 15)
        kept = listener.kept
        assert kept["edgecount/status"] == "online"
        assert kept["edgecount/door/availability"] == "online"
        state = json.loads(kept["edgecount/door/state"])
        assert (state["smooth"], state["counters"][0]["count"]) == (12.0, 4)
        assert json.loads(kept["edgecount/door/regions/hall"])["per_m2"] == 0.5
        assert json.loads(kept["edgecount/door/lines/entrance"])["net"] == 2.6
        alarm = json.loads(kept["edgecount/door/alarms/crowded"])
        assert (alarm["state"], alarm["acknowledged"], alarm["peak"]) == ("ON", True, 60.0)
        assert not [topic for topic in kept if "stranger" in topic or "events" in topic]

        sink.event(make_event("lost", kind="camera", name=""))
        sink.reading(untrusted := make_reading(1, count=None, regions={}, picture="covered"))
        sink.event(make_event("cleared"))
        sink.close()
        until(lambda: listener.kept["edgecount/status"] == "offline")
        events = [json.loads(text) for topic, text in listener.heard if topic.endswith("events")]
        assert [event["change"] for event in events] == ["lost", "cleared"]
        assert raised.id not in [event["id"] for event in events]
        told = [text for topic, text in listener.heard if topic == "edgecount/door/availability"]
        assert told == ["online", "offline", "online"]
        assert json.loads(kept["edgecount/door/regions/hall"])["count"] is untrusted.count
        assert json.loads(kept["edgecount/door/alarms/crowded"])["state"] == "OFF"


def test_home_assistant_is_told_of_devices(broker, until):
    hostile = Watched("Back", ("a/b #+", "{{ 1 }}"), (), ("ü",))
    sink = sink_to(broker, cameras={"door": DOOR, "back": hostile}, topic="site/one")
    sink.open()
    with Listener(broker.port) as listener:
        until(lambda: "site/one/topics" in listener.kept)
        found = {t: json.loads(c) for t, c in listener.kept.items() if t.endswith("/config")}
        own = slug("site/one")
        assert f"homeassistant/sensor/edgecount_{own}_door/people/config" in found
        kinds = [topic.split("/")[1] for topic in found]
        # Three of each camera, one or with a ground plane two of a region, two of a line.
        assert (kinds.count("sensor"), kinds.count("binary_sensor")) == (6 + 2 + 2 + 2, 2)
        identities = {one["unique_id"] for one in found.values()}
        assert len(identities) == len(found)
        for one in found.values():
            assert one["state_topic"] in listener.kept or one["state_topic"].startswith("site/one/")
            assert not set(one["state_topic"]) & set("+# {")
            assert one["availability"][0] == {"topic": "site/one/status"}
            assert one["icon"].startswith("mdi:")
        for topic, one in found.items():
            _, kind, *_ = topic.split("/")
            assert one["default_entity_id"] == f"{kind}.{one['unique_id']}"
            assert one["object_id"] == one["unique_id"]
            # An alarm's state is sent when it changes, and stands for days.
            assert one.get("expire_after") == (60 if kind == "sensor" else None)
        digits = {one["name"]: one.get("suggested_display_precision") for one in found.values()}
        assert (digits["hall"], digits["hall per m²"], digits["People"]) == (0, 2, 0)
        line = next(one for one in found.values() if one["name"] == "entrance in")
        assert line["state_class"] == "total_increasing"
        assert line["value_template"] == "{{ value_json['in'] }}"
        assert line["device"]["name"] == "Main door"

        sink.set_cameras({"door": Watched("Main door", ("hall",))})
        sink.idle()
        until(lambda: not [topic for topic in listener.kept if "back" in topic])
        assert not [topic for topic in listener.kept if "entrance" in topic or "crowded" in topic]
        sink.close()
        # Another run, with another camera, deletes what the first has left there.
        again = sink_to(broker, cameras={"side": Watched("Side")}, topic="site/one")
        again.open()
        until(lambda: not [topic for topic in listener.kept if "door" in topic])
        assert "site/one/side/availability" in listener.kept
        again.close()


def test_an_alarm_that_goes_on_from_an_earlier_run_is_kept_as_it_is(broker, make_event, until):
    topic = "edgecount/door/alarms/crowded"
    statuses = {"crowded": AlarmStatus(raised=True, acknowledged=True, since=1.0, peak=9.0)}
    watched = Watched("Door", alarms=("crowded",), statuses=statuses)
    with Listener(broker.port) as listener:
        sink = sink_to(broker, cameras={"door": watched})
        sink.open()
        until(lambda: topic in listener.kept)
        assert json.loads(listener.kept[topic]) == {
            "state": "ON",
            "acknowledged": True,
            "data": True,
        }
        sink.event(make_event("cleared"))
        until(lambda: json.loads(listener.kept[topic])["state"] == "OFF")
        sink.set_cameras({"door": watched})  # an event says more than what there was before it
        sink.idle()
        sink.event(make_event("lost"))
        until(lambda: not json.loads(listener.kept[topic])["data"])
        assert json.loads(listener.kept[topic])["state"] == "OFF"
        sink.close()


def test_the_alarm_of_a_camera_that_is_removed_is_told_to_be_over(broker, make_event, until):
    def changes():
        told = [text for topic, text in listener.heard if topic == "edgecount/door/events"]
        return [json.loads(text)["change"] for text in told]

    with Listener(broker.port) as listener:
        sink = sink_to(broker, cameras={"door": Watched("Door", alarms=("crowded",))})
        sink.open()
        sink.event(make_event("raised"))
        sink.set_cameras({"side": Watched("Side")})
        sink.event(make_event("cleared"))
        until(lambda: changes() == ["raised", "cleared"])
        until(lambda: "edgecount/door/alarms/crowded" not in listener.kept)
        sink.set_cameras({"door": Watched("Door", alarms=("crowded",))})
        sink.event(make_event("raised"))
        until(lambda: "edgecount/door/alarms/crowded" in listener.kept)
        assert json.loads(listener.kept["edgecount/door/alarms/crowded"])["state"] == "ON"
        sink.close()


def test_what_somebody_else_keeps_is_left_alone(broker, until):
    with Listener(broker.port) as listener:
        client = listener._client
        client.publish("other/thing", "1", retain=True, qos=1)
        client.publish("edgecount/old", "1", retain=True, qos=1)
        listed = json.dumps(["other/thing", "edgecount/old", "edgecount/#", 5])
        client.publish("edgecount/topics", listed, retain=True, qos=1).wait_for_publish(20)
        sink = sink_to(broker)
        sink.open()
        until(lambda: "edgecount/old" not in listener.kept)
        sink.close()
        until(lambda: listener.kept.get("edgecount/status") == "offline")
        assert listener.kept["other/thing"] == "1"


def test_a_broker_that_is_killed_and_comes_back(
    broker, make_reading, make_event, until, short_waits
):
    thread = SinkThread(sink_to(broker))
    until(lambda: thread.health().is_open)
    thread.put(make_event())
    until(lambda: thread.health().delivered == 1)
    broker.kill()
    until(lambda: not thread.health().is_open)
    events = [make_event("cleared"), make_event("raised")]
    for event in events:
        thread.put(event)
    until(lambda: "cannot be reached: Connection refused" in (thread.health().error or ""))
    assert thread.health().waiting == 2
    broker.start()
    with Listener(broker.port) as listener:
        until(lambda: thread.health().delivered == 3)
        # It kept nothing over its restart; everything is told anew.
        until(
            lambda: "homeassistant/sensor/edgecount_edgecount_door/people/config" in listener.kept
        )
        assert json.loads(listener.kept["edgecount/door/alarms/crowded"])["state"] == "ON"
    assert thread.health().error is None
    thread.close()
    assert thread.health().dropped == 0


def test_a_broker_that_hangs(broker, make_event):
    sink = sink_to(broker, timeout=0.3)
    sink.open()
    broker.process.send_signal(signal.SIGSTOP)
    with pytest.raises(OutputError, match=r"confirmed nothing for 0.3 s"):
        sink.event(make_event())
    sink.close()
    with pytest.raises(OutputError, match=r"gave no answer in 0.3 s"):
        sink.open()
    broker.process.send_signal(signal.SIGCONT)
    sink.close()


LEFT = """
import os, sys
from edgecount.watch.sinks.mqtt import Mqtt
sink = Mqtt("127.0.0.1", int(sys.argv[1]))
sink.open()
print("open", flush=True)
sys.stdin.read()
"""


def test_the_last_will(broker, until):
    with Listener(broker.port) as listener:
        with subprocess.Popen(
            [sys.executable, "-c", LEFT, str(broker.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            process.stdout.readline()
            until(lambda: listener.kept.get("edgecount/status") == "online")
            process.kill()
        until(lambda: listener.kept["edgecount/status"] == "offline")


def test_tls_and_passwords(tmp_path, certificates, make_event, until):
    passwords = tmp_path / "passwords"
    passwords.write_text("edgecount:s3cret-word\n")
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed: apt install mosquitto")
    subprocess.run([tool, "-U", str(passwords)], check=True, capture_output=True)
    passwords.chmod(0o600)
    settings = [f"cafile {certificates}/ca.pem", f"certfile {certificates}/cert.pem"]
    settings += [f"keyfile {certificates}/key.pem", f"password_file {passwords}"]
    ca_file = str(certificates / "ca.pem")
    with Mosquitto(tmp_path, *settings) as broker:

        def attempt(**given):
            sink = sink_to(broker, **given)
            try:
                sink.open()
                sink.event(make_event())
            finally:
                sink.close()

        user = {"user": "edgecount", "password": "s3cret-word"}
        attempt(tls=True, ca_file=ca_file, **user)
        for given, message in (
            ({"tls": True, **user}, "certificate that is not trusted"),
            ({"tls": True, "ca_file": str(certificates / "other.pem"), **user}, "not trusted"),
            ({"tls": True, "ca_file": ca_file}, "check user and password"),
            ({"tls": True, "ca_file": ca_file, **user, "password": "no-good"}, "check user"),
            ({"tls": True, "ca_file": str(passwords)}, "expected certificates in PEM form"),
            (user, f"MQTT broker 127.0.0.1:{broker.port} "),
        ):
            with pytest.raises(EdgeCountError, match=message) as caught:
                attempt(**given)
            assert "\n" not in str(caught.value)
            assert "s3cret" not in str(caught.value)
            assert "no-good" not in str(caught.value)
        assert "s3cret" not in repr(sink_to(broker, **user)._options)


def test_brokers_that_are_none():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        sink = Mqtt("127.0.0.1", port, timeout=0.2)
        with pytest.raises(OutputError, match=r"gave no answer in 0.2 s"):
            sink.open()
        sink.close()
    for host, port in (("127.0.0.1", free_port()), ("no.such.host.invalid", 1883)):
        sink = Mqtt(host, port, timeout=1)
        with pytest.raises(OutputError, match=f"MQTT broker {host}:{port} cannot be reached: "):
            sink.open()
        sink.close()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "user:pass@broker"}, "host: expected a name"),
        ({"port": 0}, "port: expected 1 to 65535, got 0"),
        ({"topic": "a/+/b"}, "topic: expected a topic such as"),
        ({"topic": ""}, "topic: expected"),
        ({"discovery": "x/#"}, "discovery: expected"),
        ({"ca_file": "a.pem"}, "ca_file: expected only with tls"),
        ({"password": "x"}, "password: expected only with user"),
        ({"every": -1}, "every: expected seconds"),
    ],
)
def test_values_that_make_no_sense(given, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Mqtt(**{"host": "broker", **given})
    assert isinstance(caught.value, EdgeCountError)
    assert "pass@" not in str(caught.value)


def test_names_of_topics_are_different():
    names = ["way in", "way_in", "way/in", "ä", "ö", "", "a", "_"]
    assert len({slug(name) for name in names}) == len(names)
    assert slug("way_in-2") == "way_in-2"
