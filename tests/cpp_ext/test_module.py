"""The module as a whole: its stub, its threads, its CUDA part."""

from __future__ import annotations

import ast
import inspect
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import edgecount
from edgecount import _ext
from edgecount._memory import resident_bytes


def stub_tree() -> ast.Module:
    # Beside the Python sources, wherever those are: the compiled module may be elsewhere.
    return ast.parse((Path(edgecount.__file__).parent / "_ext.pyi").read_text(encoding="utf-8"))


def public(names):
    return {name for name in names if not name.startswith("_")}


# What the stub names after the number of devices is there where the CUDA part is.
CUDA_PART = "cuda_device_count"


def stub_items() -> dict[str, ast.stmt]:
    """Return the stub's public names, as far as this build has them."""
    items: dict[str, ast.stmt] = {}
    for node in stub_tree().body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            items[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            items[node.target.id] = node
        if CUDA_PART in items and not _ext.cuda_built:
            break
    return {name: items[name] for name in public(items)}


def classes() -> list[ast.ClassDef]:
    return [node for node in stub_items().values() if isinstance(node, ast.ClassDef)]


def methods(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}


def test_the_stub_names_what_the_module_has():
    assert set(stub_items()) == public(dir(_ext))
    for node in classes():
        found = getattr(_ext, node.name)
        assert public(methods(node)) == public(dir(found)), node.name
        assert all(hasattr(found, name) for name in methods(node)), node.name


def signatures():
    """Yield everything that can be called, with its node in the stub."""
    for name, node in stub_items().items():
        if isinstance(node, ast.FunctionDef):
            yield name, getattr(_ext, name), node
    for owner in classes():
        for name, node in methods(owner).items():
            function = getattr(getattr(_ext, owner.name), name)
            if not isinstance(function, property) and (
                name == "__init__" or name in public([name])
            ):
                yield f"{owner.name}.{name}", function, node


def test_the_stub_has_the_module_s_parameters():
    for name, function, node in signatures():
        arguments = node.args
        expected = [(a.arg, False) for a in arguments.args]
        expected += [(a.arg, True) for a in arguments.kwonlyargs]
        signature = _ext_signature(function)
        assert [(n, keyword) for n, keyword, _ in signature] == expected, name
        defaults = [None] * (len(arguments.args) - len(arguments.defaults))
        defaults += [*arguments.defaults, *arguments.kw_defaults]
        found = [default for _, _, default in signature]
        assert found == [d and ast.literal_eval(d) for d in defaults], name


def _ext_signature(function):
    """(name, keyword-only, default) of every parameter, from nanobind's first docstring line."""
    text = function.__doc__.splitlines()[0].replace("object | None", "object")
    (definition,) = ast.parse(f"def {text}: ...").body
    arguments = definition.args
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + arguments.defaults
    rows = list(zip(arguments.args, [False] * len(arguments.args), defaults, strict=True))
    rows += zip(
        arguments.kwonlyargs, [True] * len(arguments.kwonlyargs), arguments.kw_defaults, strict=True
    )
    return [(a.arg, keyword, d and ast.literal_eval(d)) for a, keyword, d in rows]


def described(thing) -> str:
    """Return a docstring without the signature in front, which nanobind gives to functions."""
    text = inspect.getdoc(thing) or ""
    return text.partition("\n\n")[2] if callable(thing) and not inspect.isclass(thing) else text


def documented():
    """(name, docstring, arguments) of everything that the stub has."""
    for name, node in stub_items().items():
        thing = getattr(_ext, name)
        if isinstance(node, ast.FunctionDef):
            yield name, described(thing), node.args
        elif isinstance(node, ast.ClassDef):
            made = methods(node).get("__init__")
            yield name, described(thing), made.args if made else None
            for key, method in methods(node).items():
                if key != "__init__":
                    yield f"{name}.{key}", described(getattr(thing, key)), method.args


def test_help_describes_everything_with_each_argument():
    found = {name: text for name, text, _ in documented()}
    assert {"count_maps", "preprocess", "MapCounts", "MapCounts.peaks"} <= set(found)
    assert "MapCounter.enqueue" in found or not _ext.cuda_built
    for name, text, arguments in documented():
        assert text.partition("\n\n")[0].endswith("."), f"{name}: {text}"
        named = set(re.findall(r"^    (\w+): \S", text, re.MULTILINE))
        expected = {a.arg for a in (*arguments.args, *arguments.kwonlyargs)} if arguments else set()
        assert expected - {"self"} <= named, name
    for name, node in stub_items().items():
        assert not isinstance(node, ast.AnnAssign) or f"    {name}: " in _ext.__doc__


def counted_while(work) -> int:
    """How often another thread ran Python code during the work."""
    ticks, done = [0], threading.Event()

    def tick():
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=tick)
    thread.start()
    before = ticks[0]
    work()
    during = ticks[0] - before
    done.set()
    thread.join()
    return during


@pytest.mark.parametrize("kernel", ["count_maps", "preprocess"])
def test_the_gil_is_released(rng, kernel):
    heatmaps = rng.random((8, 1024, 1024), dtype=np.float32)
    image = rng.integers(0, 256, (3000, 4000, 3), np.uint8)
    out = np.empty((3, 1500, 2000), np.float32)
    works = {
        "count_maps": lambda: _ext.count_maps(heatmaps, window=7),
        "preprocess": lambda: _ext.preprocess(
            image, out, 1500, 2000, 1500, 2000, (0, 0, 0), (1, 1, 1), False, 0.0
        ),
    }
    # One call takes tens of milliseconds; a thread that waits for the GIL would not tick once.
    assert max(counted_while(works[kernel]) for _ in range(3)) >= 3


def test_threads_do_not_disturb_each_other(rng):
    heatmaps = [rng.random((1, 200, 300), dtype=np.float32) for _ in range(4)]
    alone = [_ext.count_maps(heatmap).peaks[0].copy() for heatmap in heatmaps]
    failures = []

    def work(heatmap, expected):
        same = all(np.array_equal(_ext.count_maps(heatmap).peaks[0], expected) for _ in range(20))
        if not same:
            failures.append(expected)

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(heatmaps, alone, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_no_memory_is_lost(rng):
    if resident_bytes() is None:
        pytest.skip("the system does not say how much memory a process takes")
    heatmap = rng.random((1, 256, 256), dtype=np.float32)

    def call():
        counts = _ext.count_maps(heatmap, density=heatmap)
        return counts.peaks, counts.count, counts.region_count

    for _ in range(50):
        call()
    before = resident_bytes()
    for _ in range(500):  # about 90 KB of peaks each
        call()
    assert resident_bytes() - before < 8 * 2**20


def test_cuda_answers_without_a_driver():
    assert isinstance(_ext.cuda_built, bool)
    count = _ext.cuda_device_count()
    assert count >= 0
    assert _ext.cuda_built or count == 0


SIZES = (4, 4, 8, 8, 8, 8)
NORMALISATION = ((0, 0, 0), (1, 1, 1), False, 0.0)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("DeviceBuffer", (16,)),
        ("PinnedBuffer", (16,)),
        ("Stream", ()),
        ("Event", ()),
        ("device_memory", ()),
        ("shares_memory", ()),
        ("MapCounter", (1, (8, 8), None)),
        ("Preprocessor", (*SIZES, *NORMALISATION)),
        ("Preprocessor", (8, 8, *SIZES[2:], *NORMALISATION)),
    ],
)
def test_no_device_is_a_clear_error(name, arguments):
    if not _ext.cuda_built:
        assert not hasattr(_ext, name)
        return
    if _ext.cuda_device_count() > 0:
        pytest.skip("a CUDA device is there")
    with pytest.raises(RuntimeError, match="CUDA device 0: expected an NVIDIA GPU and a driver"):
        getattr(_ext, name)(*arguments)
