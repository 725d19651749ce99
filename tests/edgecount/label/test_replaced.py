"""Files that get another picture while their page is open."""

import cv2
import numpy as np


def picture(client, name):
    return client.get("/api/picture", params={"name": name}).json()


def put(client, name, **body):
    return client.put("/api/picture", params={"name": name}, json=body)


def test_a_picture_that_was_replaced_gets_no_labels_of_the_old_one(client, folder):
    seen = picture(client, "a.jpg")
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((50, 60, 3), np.uint8))
    labels = {"state": "done", "points": [[90, 20]], "revision": seen["revision"]}
    answer = put(client, "a.jpg", file=seen["file"], **labels)
    assert answer.status_code == 409
    assert answer.json()["picture"] == picture(client, "a.jpg")
    assert answer.json()["picture"]["width"] == 60
    assert not (folder / "labels.csv").exists()
    labels["points"] = [[9, 20]]
    assert put(client, "a.jpg", file=answer.json()["picture"]["file"], **labels).status_code == 200


def test_a_file_that_was_merely_written_again_is_the_same_picture(client, folder):
    seen = picture(client, "b.png")
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes())
    labels = {"state": "empty", "points": [], "revision": seen["revision"]}
    assert put(client, "b.png", file=seen["file"], **labels).status_code == 200
