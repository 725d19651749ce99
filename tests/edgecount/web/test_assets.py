import pytest

from edgecount._web.assets import SHARED, form


@pytest.mark.parametrize("name", ["dom.js", "icon.svg", "login.css", "style.css"])
def test_every_page_has_the_files_of_both(client, name):
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.content == (SHARED / name).read_bytes()
    again = client.get(f"/static/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_page_has_its_own_files_first(client, tmp_path):
    (tmp_path / "style.css").write_text("body {}")
    assert client.get("/static/style.css").text == "body {}"
    assert client.get("/static/none.css").status_code == 404


def test_a_form_says_why_a_token_was_refused(tmp_path):
    (tmp_path / "enter.html").write_text("<p><!-- refusal --></p>")
    assert form("enter.html", "No.", tmp_path) == "<p>No.</p>"
