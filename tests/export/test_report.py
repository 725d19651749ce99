"""The facts that `report.html` shows beside the files' names."""

import re

import onnx
import pytest
from graphs import small_model, write_photos

from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model
from edgecount.export.report import write_report
from edgecount.export.report.facts import worst_difference


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    (root / "photos").mkdir()
    onnx.save(small_model(), root / "small.onnx")
    photos = write_photos(root / "photos", 3)
    options = ExportOptions(fp16=True, verify=photos, threads=1)
    export_model(str(root / "small.onnx"), root / "made", options, finish=write_report)
    return (root / "made" / "report.html").read_text()


def test_regions_and_the_worst_image_have_columns(page):
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", page.split("</thead>")[0])
    assert heads[5:9] == ["Gate", "Bias", "Worst image", "Regions"]
    rows = re.findall(r"<tr>(?s:.)*?</tr>", page.split("<tbody>")[1].split("</tbody>")[0])
    assert [row.count("<td") for row in rows] == [len(heads)] * 2
    cells = re.findall(r"<td>([^<]*)</td>", rows[1])
    assert re.fullmatch(r"[+-]\d+\.\d\d", cells[7])
    assert re.fullmatch(r"\d+\.\d\d", cells[8])


def test_the_two_pictures_stand_side_by_side(page):
    pair = page.split('<div class="pair">')[1].split("</div>")[0]
    assert pair.count("<img ") == 2
    assert ".pair { display: grid; grid-template-columns: repeat(auto-fit," in page


def test_the_worst_difference_keeps_its_sign():
    images = [{"reference": 10.0, "candidate": 11.0}, {"reference": 10.0, "candidate": 7.5}]
    assert worst_difference({"images": images}) == -2.5
