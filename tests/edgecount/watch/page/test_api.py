import json
import time
from datetime import datetime, timedelta, timezone

import pytest

from edgecount._web.assets import SHARED, assets
from edgecount.errors import ConfigError, OutputError
from edgecount.watch.page.api import STATIC


def test_state(client):
    answer = client.get("/api/state")
    assert answer.text.endswith("}\n")
    assert answer.text.count("\n") == 1
    state = answer.json()
    door, away = state["cameras"]
    assert (door["id"], door["title"]) == ("door", "Main <b>door</b>")
    assert (door["reading"]["count"], door["patience"]) == (3, 0)
    assert door["alarms"]["crowded"]["state"] == "raised"
    assert len(door["view"]["matrix"]) == 3
    assert away["reading"] is None
    assert away["view"] is None
    assert state["role"] == "editor"
    assert state["sinks"][0]["name"] == "history"


def test_history(client):
    found = client.get("/api/history?camera=door&from=1000000&to=1003600&points=100").json()
    assert found["step"] == 60
    assert len(found["mean"]) == len(found["time"]) > 50
    assert client.get("/api/history?camera=door&what=line:gate").json()["into"]


@pytest.mark.parametrize(
    "query",
    [
        "what=x",
        "what=region:",
        "from=a",
        "from=nan",
        "from=5&to=4",
        "from=-1",
        "to=1e300",
        "from=0&to=99999999999",
        "points=0",
        "points=1e9",
        "points=inf",
    ],
)
def test_questions_that_make_no_sense(client, query):
    answer = client.get(f"/api/history?camera=door&{query}")
    assert answer.status_code == 400
    assert "expected" in answer.json()["error"]


def test_patterns_and_events(client, service):
    patterns = client.get("/api/patterns?camera=door").json()
    assert [len(patterns["hours"]), len(patterns["weeks"]["this"])] == [7, 168]
    assert patterns["zone"] == "UTC"
    begin = datetime.fromisoformat(f"{patterns['monday']}+00:00")
    assert begin.weekday() == 0
    assert 0 <= time.time() - begin.timestamp() < 7 * 86400
    for one in patterns["busiest"]:
        assert datetime.fromisoformat(f"{one['local']}+00:00").timestamp() == one["hour"]
    service.raise_alarm("door", "crowded")
    (event,) = client.get("/api/events?camera=door&to=99999999999&from=99990000000").json()[
        "events"
    ] or [None]
    assert event is None
    events = client.get("/api/events").json()["events"]
    assert [one["change"] for one in events] in (["raised"], [])


def test_export(client):
    answer = client.get(
        "/api/export.csv?camera=door&what=region:ha%0D%0Al%22l&from=1000000&to=1003600"
    )
    assert answer.headers["content-type"].startswith("text/csv")
    assert (
        answer.headers["content-disposition"]
        == 'attachment; filename="edgecount-door-region-ha-l-l.csv"'
    )
    assert answer.text.startswith("time,")


def test_without_history(client, service):
    service.history = None
    for path in ("history?camera=door", "patterns?camera=door", "events", "export.csv?camera=door"):
        answer = client.get(f"/api/{path}")
        assert answer.status_code == 404
        assert "history" in answer.json()["error"]


def test_snapshot(client):
    answer = client.get("/api/cameras/door/snapshot.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[:2] == b"\xff\xd8"
    assert client.get("/api/cameras/away/snapshot.jpg").status_code == 503


def test_shapes_are_saved(client, service):
    shapes = {"lines": {"gate": {"start": [0, 0], "end": [1, 1]}}, "ground": None}
    tag = client.get("/api/cameras/door/shapes").headers["etag"]
    answer = client.put("/api/cameras/door/shapes", json=shapes, headers={"If-Match": tag})
    assert answer.json()["lines"] == shapes["lines"]
    assert service.calls == [("change_shapes", "door", shapes)]


def test_names_have_the_order_that_is_asked_for(client, service):
    line = {"start": [0, 0], "end": [1, 1]}
    names = ["gate", "10", "2"]
    order = {"lines": [*names, "none"]}
    # As JavaScript sends it; what the order does not name comes after it.
    shapes = {"lines": dict.fromkeys(["2", "10", "gate", "last"], line), "order": order}
    answer = client.put("/api/cameras/door/shapes", json=shapes, headers={"If-Match": "*"})
    assert answer.json()["order"]["lines"] == [*names, "last"]
    ((_, _, saved),) = service.calls
    assert [*saved] == ["lines"]
    assert [*saved["lines"]] == [*names, "last"]
    camera = client.get("/api/state").json()["cameras"][0]
    assert camera["order"] == {
        "regions": [*camera["regions"]],
        "lines": [*names, "last"],
        "alarms": [*camera["alarms"]],
    }
    tag = answer.headers["etag"]
    again = client.put("/api/cameras/door/shapes", json=answer.json(), headers={"If-Match": tag})
    assert (again.status_code, again.headers["etag"]) == (200, tag)


def test_shapes_that_somebody_else_has_changed_are_not_saved_over(client, service):
    read = client.get("/api/cameras/door/shapes")
    tag = read.headers["etag"]
    state = client.get("/api/state").json()["cameras"][0]
    assert f'"{state["shapes_version"]}"' == tag
    assert read.json()["lines"] == state["lines"]
    mine = {"lines": {}}
    service.cameras["door"].given["excluded"] = [[[0, 0], [1, 0], [1, 1]]]
    answer = client.put("/api/cameras/door/shapes", json=mine, headers={"If-Match": tag})
    assert answer.status_code == 412
    assert "somebody else has changed" in answer.json()["error"]
    assert service.calls == []
    now = client.get("/api/cameras/door/shapes")
    assert answer.json()["shapes"] == now.json()
    assert f'"{answer.json()["shapes_version"]}"' == now.headers["etag"] != tag
    assert answer.headers["etag"] == now.headers["etag"]
    # Without a version nothing is saved, unless whatever is there is meant.
    assert client.put("/api/cameras/door/shapes", json=mine).status_code == 428
    again = client.put("/api/cameras/door/shapes", json=mine, headers={"If-Match": "*"})
    assert again.json()["lines"] == {}
    assert again.headers["etag"] == client.get("/api/cameras/door/shapes").headers["etag"]


@pytest.mark.parametrize(
    ("match", "status"),
    [
        ("{tag}", 200),
        ("W/{tag}", 200),
        ('"other", {tag}', 200),
        ('{tag},W/"a, b"', 200),
        ('"other", "more"', 412),
        ('"*"', 412),
        ('W/"*"', 412),
        ('"other", *', 412),
        ('""', 412),
        (" ", 428),
        (",", 428),
    ],
)
def test_a_change_is_made_to_one_of_several_versions(client, service, match, status):
    tag = client.get("/api/cameras/door/shapes").headers["etag"]
    headers = {"If-Match": match.format(tag=tag)}
    answer = client.put("/api/cameras/door/shapes", json={"lines": {}}, headers=headers)
    assert answer.status_code == status
    assert (answer.headers.get("etag") == tag) == (status == 412)
    assert len(service.calls) == (status == 200)


def test_days_have_the_dates_of_the_service(client, service):
    service.history.zone = timezone(timedelta(hours=9))
    begin = datetime(2026, 11, 1, tzinfo=service.history.zone).timestamp()
    found = {"step": 86400, "time": [begin, begin + 86400]}
    service.history.series = lambda *_: found
    asked = "/api/history?camera=door"
    assert client.get(asked).json()["local"] == ["2026-11-01T00:00", "2026-11-02T00:00"]
    found["step"] = 3600
    assert client.get(asked).json()["local"] is None


def test_what_the_config_refuses_is_told_in_one_line(client, service):
    service.refuse = ConfigError(
        "cameras.door.regions.x.polygon: expected 3 corners\nor more, got 2"
    )
    headers = {"If-Match": "*"}
    answer = client.put("/api/cameras/door/shapes", json={"regions": {}}, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith("3 corners or more, got 2")
    service.refuse = OutputError("cameras.yaml cannot be written: the disk is full")
    assert client.post("/api/cameras/door/keep").status_code == 503


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("{}", "application/json", 400),
        ("[]", "application/json", 400),
        ('{"source": "rtsp://x"}', "application/json", 400),
        ('{"regions": NaN}', "application/json", 400),
        ('{"order": {}}', "application/json", 400),
        ('{"regions": {}, "order": []}', "application/json", 400),
        ('{"regions": {}, "order": {"ground": []}}', "application/json", 400),
        ('{"regions": {}, "order": {"regions": [[]]}}', "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ("\xff", "application/json", 400),
        ('{"regions": {}}', "text/plain", 415),
        ('{"regions": {}}', "", 415),
    ],
)
def test_bodies_that_are_not_taken(client, service, body, kind, status):
    answer = client.put("/api/cameras/door/shapes", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert service.calls == []


def test_alarms_that_are_none(client, service):
    assert client.post("/api/cameras/door/alarms/none/acknowledge").status_code == 404
    assert client.post("/api/cameras/none/alarms/crowded/acknowledge").status_code == 404
    assert service.calls == []


def test_keep(client):
    assert client.post("/api/cameras/door/keep").json() == {"kept": "door-1.jpg"}


def test_health_tells_whether_counting_goes_on(client_of, service):
    client = client_of(tokens=True)
    assert client.get("/api/state").status_code == 401
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "counting"})
    service.since_beat = 61.0
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "counting hangs"})


def test_metrics(client_of):
    assert client_of().get("/metrics").status_code == 404
    answer = client_of(metrics=lambda: (b"edgecount_people 3\n", "text/plain; version=1.0.0")).get(
        "/metrics"
    )
    assert answer.text == "edgecount_people 3\n"


def test_hostile_names_stay_text(client, service):
    service.cameras["door"].title = "</script><img src=x onerror=alert(1)>\ud800"
    state = client.get("/api/state")
    assert state.headers["content-type"] == "application/json"
    assert "onerror" in json.loads(state.text)["cameras"][0]["title"]


def test_the_page_is_small_and_asks_nobody_else():
    files = {**assets(SHARED), **assets(STATIC)}
    paths = [*STATIC.rglob("*"), *SHARED.rglob("*")]
    assert sum(path.stat().st_size for path in paths if path.is_file()) < 170_000
    assert (len(files["vendor/uplot.js"].content)) > 50_000
    for name, one in files.items():
        text = one.content.decode()
        outside = text.replace("http://www.w3.org/", "").replace(
            "https://github.com/leeoniya/uPlot", ""
        )
        assert "https://" not in outside.replace('"https:"', "")
        assert "innerHTML" not in text or name.startswith("vendor/")
        if name.endswith(".html"):
            assert " style=" not in text
            assert " onclick=" not in text


def test_files_of_the_page(client):
    answer = client.get("/static/main.js", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-type"].startswith("text/javascript")
    again = client.get("/static/main.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/").text.startswith("<!doctype html>")
