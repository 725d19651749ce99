"""OpenVINO counts as ONNX Runtime does: sizes, threads at once, closing, errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from graphs import endless_model
from numpy.typing import NDArray
from processes import run_code

from edgecount import EdgeCounter
from edgecount.errors import BackendError, ModelError
from edgecount.models import list_models
from edgecount.runtime.backends.calls import calls_in_hand, time_limit
from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.models.open import open_model
from edgecount.scenes import render_scene

pytest.importorskip("openvino", reason="openvino is not installed")

from edgecount.runtime.backends.openvino.backend import OpenVinoBackend

Tensor = NDArray[np.float32]


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    shape = (1, 3, height, width)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.fixture
def backend(tiny_model: Path) -> Iterator[OpenVinoBackend]:
    with OpenVinoBackend(open_model(tiny_model)) as found:
        yield found


@pytest.mark.parametrize("name", list_models())
def test_bundled_models_count_as_onnxruntime_does(name: str) -> None:
    with (
        EdgeCounter(name, backend="openvino", precision="float32") as ours,
        EdgeCounter(name, backend="onnxruntime") as theirs,
    ):
        for size, people in (((320, 240), 6), ((200, 333), 3), ((64, 64), 0)):
            image = render_scene(people, size=size, seed=people).image
            one, other = ours.count(image), theirs.count(image)
            assert one.count == pytest.approx(other.count, rel=1e-4, abs=1e-4)
            assert one.peak_count == other.peak_count
            np.testing.assert_allclose(one.density, other.density, atol=1e-5)
        assert (one.backend, one.precision) == ("openvino", "float32")
        assert one.to_dict()["precision"] == "float32"


def test_many_sizes_give_the_maps_of_onnxruntime(tiny_model: Path) -> None:
    model = open_model(tiny_model)
    with OpenVinoBackend(model) as ours, OnnxRuntimeBackend(model) as theirs:
        for side in range(64, 320, 32):
            inputs = {"image": noise(side, 384 - side)}
            found, wanted = ours.infer(inputs), theirs.infer(inputs)
            assert found.keys() == wanted.keys()
            for key, value in wanted.items():
                np.testing.assert_allclose(found[key], value, atol=1e-6)


def test_batches_run(backend: OpenVinoBackend) -> None:
    both = np.concatenate([noise(64, 64, 1), noise(64, 64, 2)])
    together = backend.infer({"image": both})
    alone = backend.infer({"image": both[1:].copy()})
    for key, value in alone.items():
        np.testing.assert_allclose(together[key][1:], value, atol=1e-6)


def test_what_is_returned_is_the_callers(backend: OpenVinoBackend) -> None:
    image = noise(64, 96)
    before = image.copy()
    first = backend.infer({"image": image})
    kept = {key: value.copy() for key, value in first.items()}
    np.testing.assert_array_equal(image, before)
    image[...] = 0.5  # the next frame takes the same place
    backend.infer({"image": image})
    backend.close()
    for key, value in first.items():
        np.testing.assert_array_equal(value, kept[key])
        assert value.flags.owndata or value.base is not None


def test_inputs_that_cannot_be_shared_are_read_all_the_same(backend: OpenVinoBackend) -> None:
    image = noise(64, 64)
    wanted = backend.infer({"image": image})
    fixed = image.copy()
    fixed.flags.writeable = False
    flipped = np.ascontiguousarray(image[:, :, ::-1])[:, :, ::-1]  # the same, not in C order
    for other in (fixed, flipped, image.astype(np.float64)):
        found = backend.infer({"image": other})
        for key, value in wanted.items():
            np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize("inputs", [{}, {"picture": 1}, {"image": 1, "more": 2}])
def test_other_inputs_are_refused(backend: OpenVinoBackend, inputs: dict[str, int]) -> None:
    with pytest.raises(BackendError, match=r"openvino: expected the input 'image', got \["):
        backend.infer(dict.fromkeys(inputs, noise(64, 64)))


@pytest.mark.parametrize("lanes", [1, 2])
def test_threads_at_once_get_their_own_maps(backend: OpenVinoBackend, lanes: int) -> None:
    images = [noise(64, 64 + 32 * (seed % 3), seed) for seed in range(24)]
    wanted = [backend.infer({"image": image}) for image in images]
    shared = backend.for_lanes(lanes)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: shared.infer({"image": image}), images))
    for one, other in zip(found, wanted, strict=True):
        for key, value in other.items():
            np.testing.assert_allclose(one[key], value, atol=1e-6)


def test_lanes_share_the_threads(tiny_model: Path) -> None:
    with OpenVinoBackend(open_model(tiny_model), threads=2) as backend:
        assert backend.lanes == 2
        assert backend.for_lanes(1) is backend
        lanes = backend.for_lanes(2)
        assert backend.for_lanes(2) is lanes
        assert (lanes.name, lanes.precision, lanes.lanes) == ("openvino", "float32", 2)
    with pytest.raises(BackendError, match="closed"):
        lanes.infer({"image": noise(64, 64)})
    with pytest.raises(BackendError, match="closed"):
        backend.for_lanes(2)


def test_closing_while_frames_are_computed(tiny_model: Path) -> None:
    backend = OpenVinoBackend(open_model(tiny_model))
    counted, begun = [], threading.Event()

    def count() -> None:
        while True:
            try:
                counted.append(backend.infer({"image": noise(256, 256)}))
            except BackendError:
                return
            begun.set()

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(count) for _ in range(3)]
        assert begun.wait(60)
        backend.close()
        backend.close()
        for one in running:
            one.result(60)
    assert all(np.isfinite(value).all() for maps in counted for value in maps.values())


def test_a_run_is_ended_by_another_thread() -> None:
    """Between two nodes, as far as OpenVINO allows; see `calls`."""
    model = open_model("edgecount-n")
    image = np.zeros((1, 3, 1600, 1600), np.float32)
    with OpenVinoBackend(model, threads=1) as backend:

        def end() -> None:
            while not (calls := calls_in_hand()):
                pass
            while calls & calls_in_hand():  # until it has noticed
                for call in calls:
                    call.end(KeyboardInterrupt())

        thread = threading.Thread(target=end)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            backend.infer({"image": image})
        thread.join()
        assert backend.infer({"image": image[:, :, :64, :64].copy()})


def test_a_limit_names_what_took_too_long() -> None:
    image = np.zeros((1, 3, 1600, 1600), np.float32)
    with (
        OpenVinoBackend(open_model("edgecount-n"), threads=1) as backend,
        pytest.raises(ModelError, match=r"it gave no result within 0.01 s"),
        time_limit(0.01, "it"),
    ):
        backend.infer({"image": image})


def test_a_loop_without_end_is_a_call_in_hand(tmp_path: Path) -> None:
    """OpenVINO does not look into loops: the process can be ended, as its commands do."""
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless_model().SerializeToString())
    code = (
        "import os, sys, threading, time\n"
        "import numpy as np\n"
        "from edgecount.runtime.backends.calls import calls_in_hand\n"
        "from edgecount.runtime.backends.openvino.backend import OpenVinoBackend\n"
        "from edgecount.runtime.models.open import open_model\n"
        "def end():\n"
        "    while not calls_in_hand(): time.sleep(0.01)\n"
        "    print('known', flush=True)\n"
        "    os._exit(7)\n"
        "threading.Thread(target=end, daemon=True).start()\n"
        "backend = OpenVinoBackend(open_model(sys.argv[1]), threads=1)\n"  # which folds the loop
        "backend.infer({'image': np.zeros((1, 3, 64, 64), np.float32)})\n"
    )
    assert run_code(code, path)[:2] == (7, "known\n")


@pytest.mark.parametrize("name", ["image", "heat"])
def test_wrong_tensors_are_told_as_by_onnxruntime(
    make_model: Callable[..., Path], name: str
) -> None:
    path = make_model()
    model = onnx.load(path)
    for node in model.graph.node:
        node.input[:] = ["other" if one == name else one for one in node.input]
        node.output[:] = ["other" if one == name else one for one in node.output]
    for port in (*model.graph.input, *model.graph.output):
        port.name = "other" if port.name == name else port.name
    onnx.save(model, path)
    what = "input" if name == "image" else "output"
    for backend in ("onnxruntime", "openvino"):
        with pytest.raises(ModelError) as raised:
            open_backend(open_model(path), backend)
        wanted = f"{path}: the manifest names the {what} {name!r}, the graph has ["
        assert str(raised.value).startswith(wanted)
        assert "'other'" in str(raised.value)


def test_damaged_files_are_model_errors(make_model: Callable[..., Path]) -> None:
    path = make_model()
    model, whole = open_model(path), path.read_bytes()
    random, lines = np.random.default_rng(1), []
    for kept in (0, 1, len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:kept])
        with pytest.raises(ModelError, match="tiny"):
            OpenVinoBackend(model)
    for _ in range(20):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 4):
            data[place] = random.integers(0, 256)
        path.write_bytes(bytes(data))
        try:
            OpenVinoBackend(open_model(path)).close()
        except (ModelError, BackendError) as error:
            lines.append(str(error))
    assert lines
    assert not [line for line in lines if "\n" in line]


def test_a_model_of_one_size(make_model: Callable[..., Path]) -> None:
    path = make_model(static_size=(96, 128))
    with OpenVinoBackend(open_model(path)) as backend:
        assert backend.infer({"image": noise(96, 128)})
        with pytest.raises(BackendError, match=r"openvino failed on an input \(1, 3, 64, 64\)"):
            backend.infer({"image": noise(64, 64)})
