import math

import pytest

from edgecount._web.reply import encode


def test_what_is_no_finite_number_is_null():
    message = {"count": math.nan, "in": [1.5, math.inf, (-math.inf,)], "of": {"a": 2}}
    assert encode(message) == '{"count":null,"in":[1.5,null,[null]],"of":{"a":2}}'


def test_answers_are_one_line(client):
    assert client.post("/api/returned", json={"a": [1, None]}).text == '{"given":{"a":[1,null]}}\n'


@pytest.mark.parametrize("content", ["", "{", "[NaN]", "[" * 100_000])
def test_bodies_that_are_no_json(client, content):
    kind = {"Content-Type": "application/json; charset=utf-8"}
    answer = client.post("/api/returned", content=content, headers=kind)
    assert (answer.status_code, answer.json()) == (400, {"error": "expected JSON"})


def test_bodies_of_another_kind(client):
    answer = client.post("/api/returned", content="{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()) == (415, {"error": "expected application/json"})


def test_what_has_no_route(client):
    assert client.get("/none").json() == {"error": "there is no such page"}
    assert client.delete("/api/told").json() == {"error": "this method is not taken"}
