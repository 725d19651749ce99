"""Which sizes get a compiled model of their own, and how long these are kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount.errors import BackendError, ModelError
from edgecount.runtime.models.open import open_model

pytest.importorskip("openvino", reason="openvino is not installed")

from edgecount.runtime.backends.openvino.backend import OpenVinoBackend
from edgecount.runtime.backends.openvino.shapes import Forms


class Compiled:
    """A compiled model that gives back the mean of its input."""

    def __init__(self, shape: Any, ready: threading.Event | None = None) -> None:
        self.shape, self.runs, self._ready = shape, 0, ready
        self.inputs = [self]
        self.partial_shape = self
        self.is_dynamic = shape is None

    def create_infer_request(self) -> Any:
        return self

    def start_async(self, inputs: Any, share_inputs: bool) -> None:
        self.runs += 1
        self.data = np.array([inputs[0].mean()])
        if self._ready is not None:
            assert self._ready.wait(60)

    def wait(self) -> None:
        pass

    def cancel(self) -> None:
        pass

    def get_output_tensor(self, index: int) -> Any:
        return self


class Maker:
    """Compiles, and remembers for what."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.kept: set[Any] = {None}  # so that nothing was compiled whose time is known
        self.fails = False

    def __call__(self, shape: Any) -> Compiled:
        if self.fails and shape is not None:
            raise ModelError("it does not fit")
        self.made.append(shape)
        return Compiled(shape)

    def forms(self, **options: Any) -> Forms:
        options = {"any_size": True, "is_kept": self.kept.__contains__} | options
        return Forms(self, **options)


def frame(side: int) -> NDArray[np.float32]:
    return np.full((1, 3, side, side), side, np.float32)


def shape(side: int) -> tuple[int, ...]:
    return (1, 3, side, side)


@pytest.fixture
def maker() -> Maker:
    return Maker()


def run(forms: Forms, side: int) -> None:
    assert forms.infer(frame(side), [0])[0][0] == side


def test_each_photo_of_a_folder_runs_in_the_one_for_any_size(maker: Maker) -> None:
    forms = maker.forms()
    for side in range(32, 1024, 32):
        run(forms, side)
    assert maker.made == [None]


def test_a_size_that_comes_again_and_again_gets_its_own(maker: Maker) -> None:
    forms = maker.forms(patience=0.0)
    for _ in range(5):
        run(forms, 64)
    assert maker.made == [None, shape(64)]
    assert forms.shapes() == [shape(64)]


def test_those_used_last_are_kept(maker: Maker) -> None:
    forms = maker.forms(patience=0.0, most=2)
    for side in (32, 32, 64, 64, 32, 96, 96):
        run(forms, side)
    assert forms.shapes() == [shape(32), shape(96)]
    # The one that was dropped must earn its place anew, in the form for any size.
    run(forms, 64)
    assert maker.made == [None, shape(32), shape(64), shape(96)]
    run(forms, 64)
    run(forms, 64)
    assert maker.made[-1] == shape(64)


def test_what_lies_on_the_disk_is_taken_at_once_as_long_as_there_is_room(maker: Maker) -> None:
    maker.kept |= {shape(32), shape(64), shape(96)}
    forms = maker.forms(most=2)
    for side in (32, 64, 96, 32, 64, 96):
        run(forms, side)
    assert forms.shapes() == [shape(32), shape(64)]
    assert maker.made == [None, shape(32), shape(64)]


def test_a_size_that_cannot_be_compiled_runs_all_the_same(maker: Maker) -> None:
    forms = maker.forms(patience=0.0)
    maker.fails = True
    for _ in range(4):
        run(forms, 64)
    maker.fails = False
    run(forms, 64)  # it is not tried with every frame
    assert maker.made == [None]


def test_devices_of_fixed_sizes_compile_each(maker: Maker) -> None:
    forms = maker.forms(any_size=False, most=2)
    for side in (32, 64, 32, 96):
        run(forms, side)
    assert maker.made == [shape(32), shape(64), shape(96)]
    maker.fails = True
    with pytest.raises(ModelError, match="does not fit"):
        run(forms, 128)


def test_others_go_on_while_a_size_is_compiled() -> None:
    begun, ready = threading.Event(), threading.Event()

    def make(wanted: Any) -> Compiled:
        if wanted is not None:
            begun.set()
            assert ready.wait(60)
        return Compiled(wanted)

    forms = Forms(make, any_size=True, is_kept=lambda _: False, patience=0.0)
    run(forms, 64)
    with ThreadPoolExecutor(1) as pool:
        compiling = pool.submit(run, forms, 64)
        assert begun.wait(60)
        run(forms, 64)  # by the form for any size
        run(forms, 32)
        forms.close()
        ready.set()
        compiling.result(60)  # the frame that was begun is counted
    assert forms.shapes() == []
    with pytest.raises(BackendError, match="closed"):
        run(forms, 64)


@pytest.mark.parametrize("name", ["edgecount-n", "edgecount-s"])
def test_counts_do_not_depend_on_the_form(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forms.__init__, "__kwdefaults__", {"most": 4, "patience": 0.0})
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 160, 224)).astype(np.float32)
    with OpenVinoBackend(open_model(name), threads=1) as backend:
        any_size = backend.infer({"image": image})
        own = backend.infer({"image": image})
        assert backend.shapes() == [image.shape]
    for key, value in any_size.items():
        np.testing.assert_allclose(own[key], value, atol=1e-5)


def test_a_model_of_one_size_is_compiled_once(make_model: Any, tmp_path: Path) -> None:
    path = make_model(static_size=(64, 64))
    with OpenVinoBackend(open_model(path)) as backend:
        for _ in range(3):
            backend.infer({"image": frame(64)})
        assert backend.shapes() == []
