"""`scripts/release/left_out.py`: counts of sets that trainings left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("onnxscript")
pytest.importorskip("scipy")

from edgecount.errors import ConfigError, OutputError  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.postprocess.interval import CountedImage  # noqa: E402

OPTIONS = {"width": 0.25, "channels": 16, "fine_channels": 8}
PLACES = ("hall", "park", "yard")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Make places of eleven pictures each, with points."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for place in PLACES:
        (root / place / "images").mkdir(parents=True)
        lines, images = ["image,x,y"], ["image"]
        for number in range(11):
            image = rng.integers(0, 256, (64, 96, 3), np.uint8)
            cv2.imwrite(str(root / place / "images" / f"{number}.png"), image)
            images.append(f"{number}.png")
            lines += [f"{number}.png,{8 * n},{4 * n}" for n in range(1, number + 2)]
        (root / place / "images.csv").write_text("\n".join(images) + "\n")
        (root / place / "points.csv").write_text("\n".join(lines) + "\n")
    return root


def write_run(folder: Path, data: Path, left_out: list[str], holdout: float = 0.25) -> Path:
    """Make the folder of a training of random weights."""
    config = {
        "model": {"name": "edgecount-n", **OPTIONS},
        "data": [{"reader": "csv_folder", "path": place, "holdout": holdout} for place in PLACES],
        "leave_out": left_out,
        "data_root": str(data),
        "steps": 7,
    }
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    state = {
        "config": config_to_dict(config_from_dict(config)),
        "step": 7,
        "ema": build_model("edgecount-n", OPTIONS).state_dict(),
    }
    torch.save(state, folder / "last.pt")
    return folder


@pytest.fixture(scope="module")
def written(scripts, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("left-out")
    runs = [write_run(folder / place, data, [place]) for place in PLACES]
    out = folder / "tiny.json"
    words = [*map(str, runs), "--name", "tiny", "--threads", "1", "--out", str(out)]
    scripts.left_out.main(words)
    return out


def test_every_set_is_counted_whole_by_the_run_that_left_it_out(scripts, written):
    runs = json.loads(written.read_text())["runs"]
    assert [run["left_out"] for run in runs] == [[place] for place in PLACES]
    assert [list(run["sets"]) for run in runs] == [[place] for place in PLACES]
    names, true, counts, differences = zip(*runs[0]["sets"]["hall"], strict=True)
    assert sorted(map(int, names)) == list(range(11))
    assert list(true) == [int(name) + 1 for name in names]
    assert np.isfinite(counts).all()
    assert np.isfinite(differences).all()
    counted = scripts.left_out.read_left_out(written)
    assert counted["hall"] == [
        CountedImage(count, difference, people)
        for count, difference, people in zip(counts, differences, true, strict=True)
    ]


def test_images_are_chosen_evenly(scripts, data, tmp_path):
    run = write_run(tmp_path / "run", data, ["hall"])
    images = scripts.left_out.count_run(run, None, 3)["sets"]["hall"]
    assert len({name for name, *_ in images}) == 3


def test_images_that_are_annotated_wrongly_are_not_counted(scripts, data, tmp_path):
    run = write_run(tmp_path / "run", data, ["hall"])
    wrong = {"2", "5"}
    images = scripts.left_out.count_run(run, None, exclude=wrong)["sets"]["hall"]
    assert {name for name, *_ in images} == {str(number) for number in range(11)} - wrong


def test_a_set_of_several_runs_has_the_images_of_each(scripts, tmp_path):
    path = tmp_path / "two.json"
    runs = [{"steps": n, "sets": {"hall": [["a", 3, 2.0 + n, 0.5]]}} for n in range(2)]
    scripts.left_out.write_left_out(path, "tiny", runs)
    assert scripts.left_out.read_left_out(path) == {
        "hall": [CountedImage(2.0, 0.5, 3.0), CountedImage(3.0, 0.5, 3.0)]
    }


def test_errors_of_sets_that_were_left_out(scripts):
    rng = np.random.default_rng(3)

    def images(people, off, noise):
        return [CountedImage(people + off + e, 0.0, people) for e in rng.laplace(0, noise, 40)]

    counted = {"a": images(50, 5, 0.1), "b": images(100, -10, 5), "c": images(20, 1, 3)}
    rows = scripts.left_out.describe_left_out(counted, {})
    assert rows["a"]["images"] == 40
    assert rows["a"]["people"] == 50
    assert rows["a"]["mae"] == pytest.approx(5, abs=0.2)
    assert rows["b"]["bias"] == pytest.approx(-10, abs=3)
    assert all(0.5 < row["coverage"] <= 1 and 0 < row["width"] < 4 for row in rows.values())
    assert scripts.model_card.mean_share(rows) == pytest.approx(
        np.mean([rows["a"]["mae"] / 50, rows["b"]["mae"] / 100, rows["c"]["mae"] / 20])
    )


def test_the_interval_is_of_sets_that_are_known_and_of_the_same_ones_left_out(scripts):
    rng = np.random.default_rng(4)

    def images(noise, number=60):
        return [CountedImage(50 + e, 0.0, 50.0) for e in rng.laplace(0, noise, number)]

    left_out = {name: images(noise) for name, noise in zip("abcd", (8, 10, 12, 9), strict=True)}
    known = {name: images(2.0) for name in "abcde"}
    one, both, other = (
        scripts.left_out.fit_to_both(*given)
        for given in ((left_out, {}), (left_out, known), ({}, known))
    )
    widths = [high - low for low, high in (spec.around(50.0) for spec in (other, both, one))]
    assert widths == sorted(widths)
    assert widths[0] < 20 < widths[1]
    rows = scripts.left_out.describe_left_out(left_out, known)
    # a set left out is not in the fit of the interval that it is tried on, however it was counted
    known["a"] = images(50.0)
    assert scripts.left_out.describe_left_out(left_out, known)["a"] == rows["a"]
    with pytest.raises(ConfigError, match="a: expected more images of the other sets"):
        scripts.left_out.describe_left_out({"a": images(1.0), "b": images(1.0, 5)}, {})


@pytest.mark.parametrize(
    ("left_out", "holdout", "message"),
    [
        ([], 0.25, "leaves no set out: expected a training on some sets"),
        (["hall"], 0.0, "holds nothing out of the sets it has seen"),
    ],
)
def test_runs_that_show_nothing_are_refused(scripts, data, tmp_path, left_out, holdout, message):
    run = write_run(tmp_path / "run", data, left_out, holdout)
    with pytest.raises(ConfigError, match=message):
        scripts.left_out.count_run(run, None)


@pytest.mark.parametrize("text", ["", "{}", '{"runs": [{"sets": {"hall": [[1]]}}]}', "[1]"])
def test_another_file_is_refused(scripts, tmp_path, text):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(OutputError, match=r"cannot read .*odd\.json"):
        scripts.left_out.read_left_out(path)


def test_a_missing_run_is_one_line(scripts, tmp_path):
    with pytest.raises(SystemExit, match=r"edgecount: error: .*no-run"):
        scripts.left_out.main([str(tmp_path / "no-run"), "--name", "tiny"])
