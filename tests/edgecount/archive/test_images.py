"""The images of folders and lists: names, order, links, odd bytes, and addresses."""

from __future__ import annotations

import io
import os
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgecount import SourceError
from edgecount.archive.images import open_images

PNG = bytes.fromhex("89504e470d0a1a0a") + b"rest"


@pytest.fixture
def tree(tmp_path):
    """Make files by their paths; a value that is a text is what a link leads to."""

    def make(files):
        for name, content in files.items():
            path = tmp_path / "top" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.symlink_to(content)
            else:
                path.write_bytes(content)
        return tmp_path / "top"

    return make


def names(text) -> list[str]:
    return list(open_images(str(text)).names())


class TestFolders:
    def test_folders_in_it_are_entered_and_names_sorted(self, tree):
        top = tree(
            dict.fromkeys(
                ["b/2.jpg", "b/10.JPG", "a/x/1.png", "z.webp", "clip.mp4", "b/n.txt", "b/m.txt"],
                PNG,
            )
            | dict.fromkeys([".hidden/1.jpg", "a/.1.jpg"], PNG)
        )
        images = open_images(str(top))
        assert list(images.names()) == ["z.webp", "a/x/1.png", "b/10.JPG", "b/2.jpg"]
        assert images.left_out == "3 files of other kinds (.txt 2, .mp4 1)"

    def test_overlays_that_edgecount_wrote_are_left_out(self, tree):
        files = ["a.jpg", "a.overlay.jpg", "b/c.overlay.png", "clip.overlay.mp4", "n.txt"]
        images = open_images(str(tree(dict.fromkeys(files, PNG))))
        assert list(images.names()) == ["a.jpg"]
        other = "1 file of another kind (.txt 1)"
        assert images.left_out == f"3 overlays of edgecount, {other}"

    def test_links_end_and_change_no_name(self, tree):
        files = {"real/1.jpg": PNG, "z/2.jpg": PNG}
        top = tree(files)
        before = names(top)
        tree({"a": "real", "real/up": "..", "b": "b", "c.jpg": "nothing"})
        assert names(top) == ["c.jpg", *before]

    def test_a_link_to_another_place_is_entered(self, tree, tmp_path):
        (tmp_path / "disk2" / "in").mkdir(parents=True)
        (tmp_path / "disk2" / "in" / "3.jpg").write_bytes(PNG)
        (tmp_path / "disk2" / "again").symlink_to("in")
        top = tree({"1.jpg": PNG, "more": "../disk2"})
        assert names(top) == ["1.jpg", "more/in/3.jpg"]

    def test_odd_names(self, tree):
        odd = ["new\nline.jpg", "\udcff.jpg", "quote'\".jpg", " .jpg", "ü.jpg", "a\\b.jpg"]
        assert sorted(names(tree(dict.fromkeys(odd, PNG)))) == sorted(odd)

    def test_an_empty_one_is_told(self, tree, tmp_path):
        (tmp_path / "top").mkdir()
        with pytest.raises(SourceError, match=r"hold no image$"):
            names(tmp_path / "top")
        with pytest.raises(SourceError, match=r"hold no image, but 1 file of .* \(.txt 1\)"):
            names(tree({"a/1.txt": PNG}))

    def test_a_folder_that_cannot_be_listed_is_one_failure(self, tree, monkeypatch):
        scandir = os.scandir

        def refuse(path):
            if str(path).endswith("locked"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        top = tree({"1.jpg": PNG, "locked/2.jpg": PNG})
        monkeypatch.setattr(os, "scandir", refuse)
        assert names(top) == ["1.jpg", "locked/"]
        with pytest.raises(SourceError, match=r"cannot read the folder .*locked"):
            open_images(str(top)).read("locked/")

    def test_a_disk_that_went_away_is_told(self, tree):
        top = tree({"1.jpg": PNG})
        images = open_images(str(top))
        images.check()
        (top / "1.jpg").unlink()
        with pytest.raises(SourceError, match=r"went away \(it is empty\): is its disk mounted"):
            images.check()
        top.rmdir()
        with pytest.raises(SourceError, match="went away"):
            images.check()


class TestLists:
    def write(self, tmp_path, data, name="list.txt"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    def test_a_line_is_a_name(self, tmp_path):
        data = b"\xef\xbb\xbfa/1.jpg\r\n\n  \n# 2.jpg\n\xff.jpg\n spaces .jpg\nhttps://h/x.jpg?a=1"
        path = self.write(tmp_path, data)
        expected = ["a/1.jpg", "# 2.jpg", "\udcff.jpg", " spaces .jpg", "https://h/x.jpg?a=1"]
        assert names(path) == expected
        assert open_images(str(path)).path("a/1.jpg") == str(tmp_path / "a/1.jpg")
        assert open_images(str(path)).path("/b/2.jpg") == "/b/2.jpg"
        assert open_images(str(path)).path("https://h/x.jpg") == "https://h/x.jpg"

    def test_zero_bytes_part_names_with_line_ends(self, tmp_path):
        assert names(self.write(tmp_path, b"a\nb.jpg\0c.jpg\r\0")) == ["a\nb.jpg", "c.jpg\r"]

    @pytest.mark.parametrize("name", ["list.lst", "list.LIST", "@any", "-"])
    def test_how_lists_are_told_apart(self, name, tmp_path, monkeypatch):
        path = self.write(tmp_path, b"1.jpg\n", name.removeprefix("@"))
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1.jpg\n")))
        text = {"@any": f"@{path}", "-": "-"}.get(name, str(path))
        assert names(text) == ["1.jpg"]

    def test_paths_of_a_pipe_are_relative_to_the_working_directory(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        images = open_images(f"@{tmp_path / 'pipe'}")
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"a.jpg\n",))
        writer.start()
        assert list(images.names()) == ["a.jpg"]
        writer.join()
        assert images.path("a.jpg") == str(Path.cwd() / "a.jpg")

    def test_lines_that_meet_the_ends_of_chunks(self, tmp_path, monkeypatch):
        monkeypatch.setattr("edgecount.archive.images._CHUNK", 7)
        lines = [f"{i}.jpg" for i in range(50)]
        assert names(self.write(tmp_path, "\r\n".join(lines).encode())) == lines
        assert names(self.write(tmp_path, "\n".join(lines).encode() + b"\n")) == lines

    def test_utf16_is_told(self, tmp_path):
        with pytest.raises(SourceError, match="is UTF-16: save it as UTF-8"):
            names(self.write(tmp_path, "1.jpg\n".encode("utf-16")))

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("missing.txt", "no such file or folder: missing.txt"),
            ("@missing", "no such file or folder: missing"),
            ("missing", "no such file or folder: missing"),
            ("/dev/null", r"expected a folder of images, or a list .* got /dev/null"),
            ("rtsp://me:word@h/s", r"expected a folder .*got rtsp://h/s"),
        ],
    )
    def test_what_is_no_archive_is_told(self, text, reason):
        with pytest.raises(SourceError, match=reason):
            open_images(text)

    def test_a_picture_is_no_archive(self, tmp_path):
        with pytest.raises(SourceError, match="expected a folder of images, or a list"):
            open_images(str(self.write(tmp_path, PNG, "a.jpg")))

    def test_what_cannot_be_read_is_told(self, tmp_path):
        images = open_images(str(self.write(tmp_path, b"x\n")))
        (tmp_path / "text.jpg").write_text("no picture")
        for name, reason in {
            "clip.mp4": "is a video, and archives are of images",
            "missing.jpg": "no such file",
            "text.jpg": "is not an image that can be decoded",
            ".": "is a folder: expected an image file",
            "s3://bucket/a.jpg": r"edgecount\.ray reads object stores",
            "http://127.0.0.1:9/me:word@a.jpg": "cannot read .*Connection refused",
        }.items():
            with pytest.raises(SourceError, match=reason):
                images.read(name)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing.jpg":
            self.send_error(404)
            return
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        body = b"" if self.path == "/empty.jpg" else PNG
        self.send_response(200)
        more = {"/cut.jpg": 9, "/slow.jpg": 1 << 16}.get(self.path, 0)
        self.send_header("Content-Length", str(len(body) + more))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/slow.jpg":
            with suppress(OSError):  # whoever asked has left
                for _ in range(1000):
                    time.sleep(0.01)
                    self.wfile.write(b"0")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_addresses_are_downloaded(server, tmp_path):
    (tmp_path / "list.txt").write_text("x")
    images = open_images(str(tmp_path / "list.txt"))
    at = f"127.0.0.1:{server.server_port}"
    assert images.read(f"http://{at}/a.jpg?b=1") == PNG
    assert images.read(f"http://me:wo%72d@{at}/a.jpg") == PNG
    assert server.seen == [("/a.jpg?b=1", None), ("/a.jpg", "Basic bWU6d29yZA==")]
    assert images.read(f"http://{at}/a b/Zürich%20(1).jpg?c=ä&d=%26#part") == PNG
    assert server.seen[-1][0] == "/a%20b/Z%C3%BCrich%20(1).jpg?c=%C3%A4&d=%26"
    with pytest.raises(SourceError, match=rf"cannot read http://{at}/missing.jpg: status 404"):
        images.read(f"http://me:word@{at}/missing.jpg")
    with pytest.raises(SourceError, match="is empty"):
        images.read(f"http://{at}/empty.jpg")


def test_a_download_that_is_cut_short_or_drips_is_refused(server, tmp_path, monkeypatch):
    (tmp_path / "list.txt").write_text("x")
    images = open_images(str(tmp_path / "list.txt"))
    at = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(SourceError, match=f"it ended after {len(PNG)} of {len(PNG) + 9} bytes"):
        images.read(f"{at}/cut.jpg")
    monkeypatch.setattr("edgecount.archive.download._LONGEST", 0.2)
    with pytest.raises(SourceError, match=r"took longer than 0\.2 s"):
        images.read(f"{at}/slow.jpg")
