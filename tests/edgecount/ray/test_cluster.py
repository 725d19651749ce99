"""Counting on a cluster of two machines, which are processes here; some are killed on the way."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edgecount import EdgeCounter
from edgecount.archive.rows import arrow_schema, make_row
from edgecount.manifest import Manifest
from s3_server import open_s3, serve_s3

gated = pytest.importorskip("gated", reason='Ray is not installed: pip install "edgecount[ray]"')


EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "archive_ray.py"


@pytest.fixture(scope="module")
def cluster(make_cluster: Callable[[list[int]], Any]) -> Iterator[Any]:
    with make_cluster([1, 2]) as cluster:
        yield cluster


ACTORS = 2


def count(images: Any, model: Any, *, actors: int = ACTORS, **options: Any) -> Any:
    from edgecount.ray import count_images

    return count_images(images, model, concurrency=actors, **options)


def counts(rows: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return the counts by the images' names, each of which must be there once."""
    rows = list(rows)
    twice = [name for name, number in Counter(row["source"] for row in rows).items() if number > 1]
    assert not twice
    return {row["source"]: row["count"] for row in rows}


@pytest.fixture(scope="module")
def expected(crowd: Path, tiny_model: Path) -> dict[str, float]:
    """Return what one process counts in the images, by their names in the folder."""
    with EdgeCounter(tiny_model) as counter:
        return {
            str(path.relative_to(crowd)): counter.count(path).count for path in crowd.rglob("*.png")
        }


def read_parquet(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    table = pq.read_table(folder)
    assert table.schema.equals(arrow_schema())
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_a_folder_to_parquet(
    cluster: Any,
    crowd: Path,
    tiny_model: Path,
    expected: dict[str, float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Paths are relative to the working directory here; the actors have another one."""
    monkeypatch.chdir(crowd.parent)
    images = count(crowd.name, os.path.relpath(tiny_model))
    images.write_parquet(str(tmp_path / "counts"))
    assert counts(read_parquet(tmp_path / "counts")) == pytest.approx(expected)


def test_datasets_of_rays_own_readers(
    cluster: Any, tiny_model: Path, crowd: Path, expected: dict[str, float]
) -> None:
    import ray

    wanted = {str(crowd / name): count for name, count in expected.items()}
    files = ray.data.read_binary_files(str(crowd), include_paths=True)
    assert counts(count(files, tiny_model).iter_rows()) == pytest.approx(wanted)
    images = ray.data.read_images(str(crowd), include_paths=True)
    assert counts(count(images, tiny_model).iter_rows()) == pytest.approx(wanted)


def test_a_bucket(cluster: Any, crowd: Path, tiny_model: Path, expected: dict[str, float]) -> None:
    bucket = f"s3://{crowd.name}"
    with serve_s3(crowd.parent, denied="inner/8.png") as host:
        rows = count(bucket, tiny_model, filesystem=open_s3(host)).take_all()
    found = counts(rows)
    assert found.pop(f"{bucket}/inner/8.png") is None
    wanted = {f"{bucket}/{name}": n for name, n in expected.items() if name != "inner/8.png"}
    assert found == pytest.approx(wanted)


def test_bad_files_are_rows(
    cluster: Any,
    tiny_model: Path,
    crowd: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "text.jpg").write_bytes(b"dear diary")
    (tmp_path / "vanishes.png").write_bytes((crowd / "5.png").read_bytes())
    odd = tmp_path / os.fsdecode(b"\xff.png")
    odd.write_bytes((crowd / "6.png").read_bytes())
    names = ["5.png", "5.png", tmp_path / "text.jpg", tmp_path / "vanishes.png", odd]
    monkeypatch.chdir(crowd)  # the actors are elsewhere
    images = count(names, tiny_model)
    (tmp_path / "vanishes.png").unlink()
    rows = {row["source"].rpartition("/")[2]: row for row in images.take_all()}
    assert len(rows) == 4
    assert rows["5.png"]["count"] == pytest.approx(5)
    assert rows["\\xff.png"]["count"] == pytest.approx(6)
    assert "not an image" in rows["text.jpg"]["error"]
    assert "no such file" in rows["vanishes.png"]["error"]


class Gate:
    """A gate at which each actor waits after some frames; see `GatedBackend`.

    Attributes:
        options: what makes the actors of `count` wait there.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        backend = gated.GatedBackend(folder, free=5)
        self.options: dict[str, Any] = {"model": manifest, "backend": backend}

    def waiting(self, job: Future[Any], actors: int = ACTORS) -> list[tuple[int, str]]:
        """Return process and node of each actor, when all of them wait."""
        found: list[Path] = []

        def all_wait() -> bool:
            found[:] = self._folder.iterdir()
            return job.done() or len(found) == actors

        gated.wait_for(all_wait)
        if job.done():
            job.result()
        return [(int(path.stem), path.suffix[1:]) for path in found]

    def open(self) -> None:
        """Let all actors go on."""
        (self._folder / "open").touch()


@pytest.fixture
def gate(make_manifest: Callable[..., Manifest], tmp_path: Path) -> Iterator[Gate]:
    import ray

    ray.cloudpickle.register_pickle_by_value(gated)  # actors cannot import it
    folder = tmp_path / "gate"
    folder.mkdir()
    yield Gate(folder, make_manifest())
    ray.cloudpickle.unregister_pickle_by_value(gated)


def test_an_actor_is_killed(
    cluster: Any, crowd: Path, expected: dict[str, float], gate: Gate, tmp_path: Path
) -> None:
    images = count(crowd, **gate.options)
    with ThreadPoolExecutor() as pool:
        job = pool.submit(images.write_parquet, str(tmp_path / "counts"))
        try:
            os.kill(gate.waiting(job)[0][0], signal.SIGKILL)
        finally:
            gate.open()
        job.result()
    assert counts(read_parquet(tmp_path / "counts")) == dict.fromkeys(expected, 1.0)


def test_the_example(
    cluster: Any, crowd: Path, tiny_model: Path, expected: dict[str, float], tmp_path: Path
) -> None:
    """Some images have a row already, as after a run that was stopped."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    spec = importlib.util.spec_from_file_location("archive_ray", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    out = tmp_path / "counts"
    out.mkdir()
    first = [make_row(name, ValueError("of an earlier run")) for name in list(expected)[:10]]
    pq.write_table(pa.Table.from_pylist(first, schema=arrow_schema()), out / "first.parquet")

    example.count_archive(str(crowd), str(out), str(tiny_model), concurrency=ACTORS)
    assert set(counts(read_parquet(out))) == set(expected)
    people = sum(list(expected.values())[10:])
    line = f"40 images, {people:.0f} people; 10 images could not be counted"
    assert example.report(str(out)) == line


def test_a_mistake_in_the_example_is_one_line(cluster: Any, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE, tmp_path / "none", tmp_path / "counts"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == f"error: no such file or folder: {tmp_path / 'none'}\n"


def test_a_machine_goes_away(
    cluster: Any, crowd: Path, expected: dict[str, float], gate: Gate
) -> None:
    # The first machine holds two of them, so that at least one is on the other.
    images = count(crowd, actors=3, **gate.options)
    (worker,) = cluster.worker_nodes
    with ThreadPoolExecutor() as pool:
        job = pool.submit(images.take_all)
        try:
            nodes = [node for _, node in gate.waiting(job, actors=3)]
            assert worker.node_id in nodes
            cluster.remove_node(worker)
        finally:
            gate.open()
        assert counts(job.result()) == dict.fromkeys(expected, 1.0)


def test_one_cpu(
    cluster: Any, crowd: Path, tiny_model: Path, expected: dict[str, float], tmp_path: Path
) -> None:
    """The rest of the cluster has one: an actor that took some of it would hold up the tasks."""
    import ray

    from edgecount.ray import count_images

    if cluster.worker_nodes:
        cluster.remove_node(next(iter(cluster.worker_nodes)))
    gated.wait_for(lambda: ray.cluster_resources().get("CPU") == 1)
    count_images(crowd, tiny_model).write_parquet(str(tmp_path / "counts"))
    assert counts(read_parquet(tmp_path / "counts")) == pytest.approx(expected)
