"""Requests of the page to the server, and who may make them."""

import json
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edgecount.label.app import Desk
from edgecount.label.pictures import TILE, Pictures
from edgecount.label.store import LabelStore
from edgecount.label.table import choose_file

HEADS = [(20, 10), (40, 30), (60, 50)]  # that the model of conftest finds


def picture(client, name):
    answer = client.get("/api/picture", params={"name": name})
    assert answer.status_code == 200, answer.text
    return answer.json()


def put(client, name, state, points=(), revision=None):
    if revision is None:
        revision = picture(client, name)["revision"]
    body = {"state": state, "points": [list(point) for point in points], "revision": revision}
    return client.put("/api/picture", params={"name": name}, json=body)


def decoded(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)


def test_the_pictures_of_the_folder(client, folder):
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.jpg").write_bytes(b"")
    (folder / "a.overlay.jpg").write_bytes(b"")
    state = client.get("/api/state").json()
    assert [one["name"] for one in state["pictures"]] == ["a.jpg", "b.png", "c.jpg"]
    assert {one["state"] for one in state["pictures"]} == {"new"}
    assert state["table"].endswith("labels.csv")
    assert client.get("/api/state", params={"known": state["version"]}).json() == {
        "version": state["version"]
    }


def test_a_picture_with_heads_is_done_and_one_without_is_empty(client, folder):
    answer = put(client, "a.jpg", "open", [(10, 20.123456)])
    assert answer.status_code == 200
    assert not (folder / "labels.csv").exists()
    assert put(client, "a.jpg", "done", [(10, 20.12), (95.5, 0)]).status_code == 200
    assert put(client, "b.png", "empty").status_code == 200
    assert (folder / "labels.csv").read_text() == (
        "image,x,y,image_width,image_height\n"
        "a.jpg,10,20.12,96,64\na.jpg,95.5,0,96,64\nb.png,,,64,48\n"
    )
    assert not (folder / "labels.csv.drafts").exists()
    assert picture(client, "a.jpg")["points"] == [[10, 20.12], [95.5, 0]]


@pytest.mark.parametrize(
    ("state", "points", "expected"),
    [
        ("done", [], "cannot be done"),
        ("empty", [[1, 1]], "has no points"),
        ("ready", [], "expected new, open, done or empty"),
        (["done"], [], "expected new, open, done or empty"),
        ("done", [[10**400, 1]], "expected finite numbers"),
        ("open", [[1]], "expected [x, y]"),
        ("open", [[1, "2"]], "expected [x, y]"),
        ("open", [[True, 2]], "expected [x, y]"),
        ("open", [[500, 2]], "outside the picture (96x64)"),
        ("open", "12", "expected a list"),
        ("open", [[1, 1]] * 50_001, "50,000"),
    ],
)
def test_labels_that_make_no_sense(client, folder, state, points, expected):
    revision = picture(client, "a.jpg")["revision"]
    body = {"state": state, "points": points, "revision": revision}
    answer = client.put("/api/picture", params={"name": "a.jpg"}, json=body)
    assert answer.status_code == 400
    assert expected in answer.json()["error"]
    assert sorted(path.name for path in folder.iterdir()) == ["a.jpg", "b.png", "c.jpg"]


def test_a_head_outside_that_is_in_the_file_may_stay(client_of, folder):
    (folder / "labels.csv").write_text("image,x,y\na.jpg,50,30\na.jpg,99.123,20\n")
    client = client_of()
    told = picture(client, "a.jpg")["points"]
    assert put(client, "a.jpg", "open", [*told, [10, 10]]).status_code == 200
    assert put(client, "a.jpg", "open", [[50, 30], [99.12, 20]]).status_code == 200
    assert put(client, "a.jpg", "open", [[50, 30]]).status_code == 200
    assert put(client, "a.jpg", "done", told).status_code == 200  # as after an undo
    assert (folder / "labels.csv").read_text().splitlines()[2] == "a.jpg,99.12,20,96,64"
    answer = put(client, "a.jpg", "done", [*told, [100, 20]])
    assert (answer.status_code, "100, 20 lies outside" in answer.text) == (400, True)
    assert put(client, "c.jpg", "open", [[99.12, 20]]).status_code == 400  # of another picture


def test_the_page_is_told_which_table_and_which_picture_it_has(client, folder, tmp_path):
    first = client.get("/api/state").json()["id"]
    other = tmp_path / "other" / "pictures"
    other.mkdir(parents=True)
    cv2.imwrite(str(other / "a.jpg"), np.zeros((64, 96, 3), np.uint8))
    (tmp_path / "link").symlink_to(folder)
    ids = []
    for place in (other, tmp_path / "link"):
        client.desk.store.close()
        with LabelStore(choose_file(place, None)) as store:
            ids.append(Desk(place, Pictures(place), store, None).state()["id"])
    assert ids[0] != first
    assert ids[1] == first
    before = picture(client, "a.jpg")["file"]
    (folder / "c.jpg").write_bytes((folder / "a.jpg").read_bytes())
    assert picture(client, "c.jpg")["file"] == before
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((64, 96, 3), np.uint8))
    assert picture(client, "a.jpg")["file"] != before


def test_a_page_of_another_folder_saves_nothing(client):
    body = {"state": "empty", "points": [], "revision": picture(client, "a.jpg")["revision"]}
    other = client.put("/api/picture", params={"name": "a.jpg"}, json=body | {"table": "other"})
    assert (other.status_code, "another folder" in other.text) == (412, True)
    assert picture(client, "a.jpg")["state"] == "new"
    table = client.get("/api/state").json()["id"]
    own = client.put("/api/picture", params={"name": "a.jpg"}, json=body | {"table": table})
    assert own.status_code == 200


def test_numbers_that_are_none(client):
    for number in ("NaN", "Infinity", "1e999"):
        answer = client.put(
            "/api/picture?name=a.jpg",
            content=f'{{"state": "open", "points": [[{number}, 1]], "revision": ""}}',
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 400
    for body in ("[]", "no json", json.dumps(3), "[" * 100_000):
        answer = client.put(
            "/api/picture?name=a.jpg", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400
    assert client.put("/api/picture?name=a.jpg", content=b"{}").status_code == 415


def test_a_second_window_overwrites_nothing(client):
    first = picture(client, "a.jpg")["revision"]
    assert put(client, "a.jpg", "open", [(1, 1)], first).status_code == 200
    answer = put(client, "a.jpg", "open", [(2, 2)], first)
    assert answer.status_code == 409
    current = answer.json()["current"]
    assert current["points"] == [[1, 1]]
    # The same again is no conflict: the answer to the first may have been lost.
    assert put(client, "a.jpg", "open", [(1, 1)], first).status_code == 200
    assert put(client, "a.jpg", "open", [(2, 2)], current["revision"]).status_code == 200


def test_a_full_disk_is_told_and_nothing_is_lost(client, folder, monkeypatch):
    assert put(client, "a.jpg", "done", [(1, 1)]).status_code == 200
    before = (folder / "labels.csv").read_bytes()

    def no_space(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", no_space)
        answer = put(client, "b.png", "done", [(2, 2)])
    assert answer.status_code == 507
    assert "No space left on device" in answer.json()["error"]
    assert (folder / "labels.csv").read_bytes() == before
    assert picture(client, "b.png")["state"] == "new"
    assert put(client, "b.png", "done", [(2, 2)]).status_code == 200


def test_pictures_that_arrive_while_it_runs(client, folder):
    image = cv2.imread(str(folder / "a.jpg"))
    (folder / "b3.jpg.1234.partial").write_bytes(b"")  # as `keep` of watch writes them
    cv2.imwrite(str(folder / "b2.jpg"), image)
    end = time.monotonic() + 30
    while len(client.get("/api/state").json()["pictures"]) < 4:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert put(client, "b2.jpg", "empty").status_code == 200


def test_a_picture_that_watch_keeps_is_taken_up(client, folder):
    pytest.importorskip("ruamel.yaml", reason='needs pip install "edgecount[watch]"')
    from edgecount.watch.config import KeepConfig
    from edgecount.watch.service.keep import keep_picture

    shown = SimpleNamespace(
        original=np.zeros((48, 64, 3), np.uint8), reading=SimpleNamespace(time=1_700_000_000.0)
    )
    door = SimpleNamespace(id="door", picture=lambda: shown)
    name = keep_picture(door, KeepConfig(folder=folder))
    end = time.monotonic() + 30
    while name not in {one["name"] for one in client.get("/api/state").json()["pictures"]}:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert picture(client, name)["width"] == 64


def test_what_is_no_picture(client, folder):
    (folder / "c.jpg").write_bytes((folder / "a.jpg").read_bytes()[:200])
    answer = client.get("/api/picture", params={"name": "c.jpg"})
    assert answer.status_code == 422
    assert str(folder) not in answer.text
    problems = {one["name"]: one["problem"] for one in client.get("/api/state").json()["pictures"]}
    assert problems["a.jpg"] is None
    assert "c.jpg" in problems["c.jpg"]
    (folder / "c.jpg").write_bytes((folder / "a.jpg").read_bytes())
    assert picture(client, "c.jpg")["width"] == 96  # mended meanwhile


def test_kinds_of_pictures_as_training_reads_them(client_of, folder):
    cv2.imwrite(str(folder / "deep.png"), np.full((20, 30), 65535, np.uint16))
    cv2.imwrite(str(folder / "clear.png"), np.zeros((20, 30, 4), np.uint8))
    cv2.imwrite(str(folder / "grey.tif"), np.full((20, 30), 77, np.uint8))
    upright = cv2.imread(str(folder / "a.jpg"))
    from PIL import Image

    turned = Image.fromarray(upright[:, :, ::-1])
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    turned.save(folder / "turned.jpg", exif=exif)
    client = client_of()
    for name, size in (("deep.png", (30, 20)), ("grey.tif", (30, 20)), ("turned.jpg", (64, 96))):
        found = picture(client, name)
        assert (found["width"], found["height"]) == size
        shown = decoded(client.get("/api/view.jpg", params={"name": name}))
        assert shown.shape[1::-1] == size
    white = decoded(client.get("/api/view.jpg", params={"name": "deep.png"}))
    assert white.min() > 250


def test_a_large_picture_is_sent_shrunk_and_in_tiles(client_of, folder):
    image = np.zeros((1100, 5200, 3), np.uint8)
    image[1030:1060, 2060:2090] = 255
    cv2.imwrite(str(folder / "large.png"), image)
    client = client_of()
    assert picture(client, "large.png")["width"] == 5200
    shown = decoded(client.get("/api/view.jpg", params={"name": "large.png"}))
    assert shown.shape[:2] == (542, 2560)
    small = decoded(client.get("/api/view.jpg?small&name=large.png"))
    assert small.shape[1] == 240
    tile = decoded(client.get("/api/tile.jpg?name=large.png&column=2&row=1"))
    assert tile.shape[:2] == (1100 - TILE, TILE)
    assert tile[15, 25].min() > 240  # at 2073, 1039 of the picture
    assert client.get("/api/tile.jpg?name=large.png&column=9&row=0").status_code == 422
    assert client.get("/api/tile.jpg?name=large.png&column=x&row=0").status_code == 400


def test_proposals_come_from_the_model(client_of, folder):
    client = client_of(proposes=True)
    state = client.get("/api/state").json()
    assert state["model"] == "fake"
    assert 0.1 <= state["threshold"] < 1
    answer = {}
    while answer.get("state") != "ready":
        answer = client.get("/api/proposal", params={"name": "a.jpg"}).json()
        assert answer["state"] in {"waiting", "ready"}
    assert sorted([round(x), round(y)] for x, y, _ in answer["heads"]) == [
        [20, 10],
        [40, 30],
        [60, 50],
    ]
    assert not (folder / "labels.csv.drafts").exists()  # looking at one is no act
    proposer = client.desk.proposer
    assert proposer.get("b.png", 30.0) is not None  # counted ahead
    assert client.desk.pictures.problem("b.png") is None


def test_proposals_are_of_the_file_that_is_there_now(client_of, folder):
    client = client_of(proposes=True)
    proposer, counts = client.desk.proposer, []
    count = proposer._count

    def counted(name):
        counts.append(name)
        return count(name)

    proposer._count = counted
    for size in (96, 96, 128):
        if size == 128:  # another picture of the same name
            cv2.imwrite(str(folder / "a.jpg"), np.zeros((64, size, 3), np.uint8))
        proposer.want(["a.jpg"])
        assert proposer.get("a.jpg", 30) is not None
    assert counts == ["a.jpg"] * 2


def test_without_a_model_there_is_no_proposal(client):
    assert client.get("/api/proposal?name=a.jpg").json() == {"state": "off"}


def test_a_picture_that_cannot_be_counted(client_of, folder):
    client = client_of(proposes=True)
    (folder / "a.jpg").write_bytes(b"nothing")
    answer = client.get("/api/proposal", params={"name": "a.jpg"}).json()
    assert answer["state"] == "failed"
    assert "a.jpg" in answer["problem"]


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "/etc/passwd", "", "none.jpg", "a.jpg\0", "./a.jpg", "notes.txt"]
)
def test_nothing_but_pictures_of_the_folder_is_read(client, folder, name):
    cv2.imwrite(str(folder.parent / "secret.jpg"), np.zeros((8, 8, 3), np.uint8))
    for path in ("/api/picture", "/api/view.jpg", "/api/tile.jpg?column=0&row=0", "/api/proposal"):
        assert client.get(path, params={"name": name, "column": 0, "row": 0}).status_code == 404
    assert client.put("/api/picture", params={"name": name}, json={}).status_code == 404


def test_only_who_has_the_token_is_let_in(client_of):
    client = client_of(enter=False)
    assert client.get("/").headers["location"] == "/login"
    for path in ("/api/state", "/api/view.jpg?name=a.jpg", "/static/label.js"):
        assert client.get(path).status_code == 401
    assert client.put("/api/picture?name=a.jpg", json={}).status_code == 401
    assert client.get("/login?token=guess").headers["location"] == "/login?wrong"
    assert "does not let in" in client.get("/login?wrong").text
    assert client.post("/login", data={"token": "guess"}).headers["location"] == "/login?wrong"
    code = client.desk.make_code()
    assert client.get(f"/login?once={code}").headers["location"] == "/"
    assert client.get("/api/state").status_code == 200
    client.cookies.clear()
    assert client.get(f"/login?once={code}").headers["location"] == "/login?wrong"


def test_guesses_are_slowed_down(client_of):
    client = client_of(enter=False)
    codes = [client.get(f"/login?token={guess}").status_code for guess in range(9)]
    assert codes == [303] * 8 + [429]
    assert "Too many wrong tokens; wait " in client.post("/login", data={"token": "guess"}).text


def test_other_sites_and_names_are_turned_away(client):
    for headers in ({"Origin": "http://evil.com"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.put("/api/picture?name=a.jpg", json={}, headers=headers)
        assert answer.status_code == 403
    answer = client.get("/api/state", headers={"Host": "evil.com"})
    assert answer.status_code == 421
    assert "serve.hosts" not in answer.text


def test_answers_carry_the_headers_and_no_outside_assets(client):
    for path in ("/", "/api/state", "/static/label.js", "/static/style.css", "/api/none"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("/", "/static/label.js", "/static/label.css", "/static/board.js"):
        assert "http" not in client.get(path).text.replace("http-equiv", "")
    assert client.get("/api/none").status_code == 404
    assert client.get("/static/../app.py").status_code == 404


def test_an_ill_chosen_number_of_bytes(client):
    answer = client.put(
        "/api/picture?name=a.jpg",
        content=b" " * (5 * 1024 * 1024),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413


def test_a_table_that_is_a_link_names_pictures_of_the_folder_that_it_lies_in(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (tmp_path / "kept").mkdir()
    cv2.imwrite(str(folder / "a.png"), np.zeros((60, 80, 3), np.uint8))
    kept = tmp_path / "kept" / "labels.csv"
    kept.write_text("image,x,y,image_width,image_height\na.png,1,2,80,60\na.png,5,6,80,60\n")
    (folder / "labels.csv").symlink_to(kept)
    with LabelStore(choose_file(folder, None)) as store:
        desk = Desk(folder, Pictures(folder), store, None)
        picture = desk.picture("a.png")
        assert (picture["state"], len(picture["points"])) == ("done", 2)
        points = [[1, 2], [5, 6], [9, 9]]
        desk.save("a.png", {"state": "done", "points": points, "revision": picture["revision"]})
    assert [line.split(",")[0] for line in kept.read_text().splitlines()[1:]] == ["a.png"] * 3
