import dataclasses
import json
import struct
import time

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from edgecount._web.access import SESSION, Access
from edgecount.watch.page.tokens import COOKIE
from edgecount.watch.readings import Event
from stand_in import EDITOR, VIEWER, WS


def receive(websocket, kind):
    """Return the next message of a kind, leaving out the others."""
    for _ in range(50):
        message = websocket.receive()
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message["code"])
        if kind == "picture" and message.get("bytes"):
            return message["bytes"]
        if message.get("text"):
            found = json.loads(message["text"])
            if found["type"] == kind:
                return found
    raise AssertionError(f"no {kind} came")


def watch(websocket, **layers):
    websocket.send_json({"type": "watch", "cameras": {"door": {"image": True, **layers}}})


def test_a_state_comes_first_and_readings_follow(client, service):
    with client.websocket_connect(WS) as websocket:
        assert receive(websocket, "state")["cameras"][0]["id"] == "door"
        watch(websocket, points=True, density=True, map=True)
        reading = receive(websocket, "reading")
        assert reading["camera"] == "door"
        assert len(reading["points"]) == 6
        assert reading["density"]["rows"] * reading["density"]["columns"] == 48
        assert reading["map"]["top"] == 4
        service.step()
        assert receive(websocket, "reading")["at"] > reading["at"]


def test_layers_come_only_when_asked_for(client):
    with client.websocket_connect(WS) as websocket:
        watch(websocket)
        assert not {"points", "density", "map"} & receive(websocket, "reading").keys()


def test_the_boxes_of_a_detector_come_with_its_points(client, service):
    door = service.cameras["door"]
    image, result = door.pictures[0]
    boxes = np.array([[0, 12, 16, 24], [32, 24, 64, 48]], np.float32)  # of 64 x 48 px
    door.pictures = [(image, dataclasses.replace(result, boxes=boxes))]
    service.step()
    with client.websocket_connect(WS) as websocket:
        watch(websocket)
        assert "boxes" not in receive(websocket, "reading")
        watch(websocket, points=True)
        service.step()
        reading = receive(websocket, "reading")
        assert reading["boxes"] == [0, 0.25, 0.25, 0.5, 0.5, 0.5, 1, 1]
        assert len(reading["points"]) == 6


def test_a_picture_comes_for_each_next(client, service):
    with client.websocket_connect(WS) as websocket:
        watch(websocket)
        websocket.send_json({"type": "next", "camera": "door"})
        picture = receive(websocket, "picture")
        assert picture[1:5] == b"door"
        assert struct.unpack(">d", picture[5:13])[0] == service.cameras["door"].latest().time
        assert picture[13:15] == b"\xff\xd8"
        for _ in range(5):
            service.step()
            assert receive(websocket, "reading")
        # Nothing was asked for meanwhile: the next one is the newest.
        websocket.send_json({"type": "next", "camera": "door"})
        newest = service.cameras["door"].latest().time
        assert struct.unpack(">d", receive(websocket, "picture")[5:13])[0] == newest


def test_who_watches_anew_gets_a_picture_that_has_been_sent_before(client, service):
    with client.websocket_connect(WS) as websocket:
        for _ in range(2):
            watch(websocket)
            websocket.send_json({"type": "next", "camera": "door"})
            time_sent = struct.unpack(">d", receive(websocket, "picture")[5:13])[0]
            assert time_sent == service.cameras["door"].latest().time


def test_each_state_has_the_time_of_the_service(client):
    with client.websocket_connect(WS) as websocket:
        first, second = (receive(websocket, "state")["time"] for _ in range(2))
    assert first < second
    assert second == pytest.approx(time.time(), abs=30)


def test_events_come_in_order(client, service):
    with client.websocket_connect(WS) as websocket:
        receive(websocket, "state")
        for change in ("raised", "acknowledged", "cleared"):
            service.put(Event("door", time.time(), "alarm", "crowded", change))
        assert [receive(websocket, "event")["change"] for _ in range(3)] == [
            "raised",
            "acknowledged",
            "cleared",
        ]


@pytest.mark.parametrize(
    "message",
    [
        "no JSON",
        "[]",
        '{"type": "other"}',
        '{"type": "next"}',
        '{"type": "watch"}',
        '{"type": "watch", "cameras": {"../x": {}}}',
        '{"type": "watch", "cameras": {"door": 1}}',
        "[" * 16_000,
        "x" * 20_000,
    ],
)
def test_a_message_that_makes_no_sense_ends_the_connection(client, message):
    with client.websocket_connect(WS) as websocket:
        websocket.send_text(message)
        with pytest.raises(WebSocketDisconnect) as ended:
            receive(websocket, "none")
    assert ended.value.code == 1008


def test_a_flood_ends_the_connection(client):
    with client.websocket_connect(WS) as websocket:
        for _ in range(400):
            websocket.send_text('{"type": "watch", "cameras": {}}')
        with pytest.raises(WebSocketDisconnect):
            receive(websocket, "none")


def test_cameras_that_are_none_are_left_out(client):
    with client.websocket_connect(WS) as websocket:
        websocket.send_json({"type": "watch", "cameras": {"none": {"image": True}}})
        websocket.send_json({"type": "next", "camera": "none"})
        assert receive(websocket, "state")


def test_a_connection_needs_a_token(client_of):
    client = client_of(tokens=True)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(WS):
        pass
    headers = {"Authorization": f"Bearer {VIEWER}"}
    with client.websocket_connect(WS, headers=headers) as websocket:
        assert receive(websocket, "state")


def test_a_connection_ends_with_its_login(client_of):
    now = [0.0]
    access = Access(EDITOR, VIEWER, now=lambda: now[0])
    headers = {"Cookie": f"{COOKIE}={access.cookie('viewer')}"}
    with client_of(access=access).websocket_connect(WS, headers=headers) as websocket:
        assert receive(websocket, "state")
        now[0] = SESSION + 1.0
        with pytest.raises(WebSocketDisconnect):
            receive(websocket, "none")


def test_only_so_many_connections(client, service, monkeypatch):
    monkeypatch.setattr("edgecount.watch.page.live._MOST", 1)
    with client.websocket_connect(WS) as websocket:
        receive(websocket, "state")
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(WS) as second:
            receive(second, "state")


def test_the_service_may_fail_or_go(client, service):
    with client.websocket_connect(WS) as websocket:
        receive(websocket, "state")
        service.cameras.pop("door")
        assert [one["id"] for one in receive(websocket, "state")["cameras"]] == ["away"]
