"""The backend's calls, as they reach TensorRT through the real bindings of each version.

The order is TensorRT's: the shape of the input before the sizes that follow from it, the memory
before a run, an address for each tensor before a run (`IExecutionContext::enqueueV3`,
`setDeviceMemoryV2` and `updateDeviceMemorySizeForShapes` in NvInferRuntime.h), and no object
outlives what it was made by.
"""

from __future__ import annotations

import platform
import sys
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from tensorrt_versions import ABSENT, VERSIONS

SIZES = {"image": 3 * 64 * 96 * 4, "density": 8 * 12 * 4, "heat": 16 * 24 * 4}  # of 1x3x64x96
STREAM = 0x5000

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the objects below are laid out as on x86-64 Linux",
)


class Call(NamedTuple):
    on: str
    function: str
    given: list[Any]


class Trace(NamedTuple):
    """The calls of a version, in parts: up to "open", to the first "bind ...", and so on."""

    version: str
    parts: dict[str, list[Call]]

    @property
    def managed(self) -> bool:
        """Whether contexts are given their memory."""
        return "context_memory" not in ABSENT[self.version]


@pytest.fixture(scope="module", params=[version for version in VERSIONS if version != "rtx"])
def trace(request, record_calls):
    parts, name = {"load": []}, "load"
    for on, function, given in record_calls(VERSIONS[request.param]):
        if on == "test":
            name = function if function not in parts else f"{function} again"
            parts[name] = []
        else:
            parts[name].append(Call(on, function, given))
    return Trace(request.param, parts)


def test_a_plan_is_loaded_once_its_code_is_allowed(trace):
    first, second, *rest = trace.parts["load"]
    assert first == ("runtime", "setEngineHostCodeAllowed", [True])
    assert second == ("runtime", "deserializeCudaEngine", ["a plan"])
    profile = [call.given for call in rest if call.function == "getProfileShape"]
    assert {tuple(given) for given in profile} == {("image", 0, select) for select in range(3)}
    assert {call.on for call in rest} == {"engine"}


def bound(on: str, *, managed: bool) -> list[tuple[str, str]]:
    """Return the calls that set up a context for a shape, less those after them that run it."""
    shape = ["setInputShape", "getEngine", "getNbIOTensors", "inferShapes"]
    memory = ["updateDeviceMemorySizeForShapes", "setDeviceMemoryV2"] if managed else []
    names = [*shape, *["getTensorShape"] * 3, *memory, *["setTensorAddress"] * 3]
    return [("engine" if name == "getNbIOTensors" else on, name) for name in names]


def test_a_shape_is_set_before_its_sizes_memory_and_addresses(trace):
    calls = trace.parts["bind 1x3x64x96"]
    setting = [("stream", "synchronize"), *bound("context 0", managed=trace.managed)]
    run = [("context 0", "enqueueV3"), ("stream", "synchronize")]
    assert [call[:2] for call in calls] == [*setting, *run]
    given = {call.function: call.given for call in calls}
    assert given["setInputShape"] == ["image", [1, 3, 64, 96]]
    assert given["enqueueV3"] == [STREAM]
    if trace.managed:
        address, size = given["setDeviceMemoryV2"]
        assert (address % 256, size) == (0, 64 * 1 * 64 * 96)
    addresses = {c.given[0]: c.given[1] for c in calls if c.function == "setTensorAddress"}
    assert addresses.keys() == SIZES.keys()
    ends = sorted((address, address + SIZES[name]) for name, address in addresses.items())
    assert all(address % 256 == 0 for address, _ in ends)
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))


def test_a_bound_shape_runs_by_one_call(trace):
    for part in ("enqueue", "enqueue again"):
        (call,) = trace.parts[part]
        assert call[1:] == ("enqueueV3", [STREAM])


def test_another_shape_has_a_context_of_its_own_where_they_share_memory(trace):
    calls = trace.parts["bind 2x3x64x96"]
    on = "context 1" if trace.managed else "context 0"
    made = [("engine", "createExecutionContext"), (on, "getOptimizationProfile")]
    assert [call[:2] for call in calls] == [
        ("stream", "synchronize"),
        *(made if trace.managed else []),
        *bound(on, managed=trace.managed),
        *[(on, "enqueueV3"), ("stream", "synchronize")],
    ]
    assert ("image", [2, 3, 64, 96]) in [tuple(call.given) for call in calls]


def test_memory_that_moved_is_told_to_the_first_context_again(trace):
    before = {c.function: c.given for c in trace.parts["bind 2x3x64x96"]}
    calls = trace.parts["bind 1x3x64x96 again"]
    names = [call.function for call in calls]
    # The shape has run before, so that its first run here is the frame's.
    assert names[0] == "synchronize"
    assert [call[:2] for call in calls[1:]] == bound("context 0", managed=trace.managed)
    if trace.managed:
        after = {c.function: c.given for c in calls}
        assert after["setDeviceMemoryV2"] == before["setDeviceMemoryV2"]


def test_contexts_are_told_who_gives_them_memory_and_8_their_profile(trace):
    (made, asked, *told) = trace.parts["open another"]
    assert made[:2] == ("engine", "createExecutionContext")
    assert made.given == ([2] if trace.managed else [])  # USER_MANAGED
    assert asked.function == "getOptimizationProfile"
    expected = [(asked.on, "setOptimizationProfileAsync", [0, STREAM])]
    assert told == ([] if trace.managed else expected)


def test_nothing_outlives_what_it_was_made_by(trace):
    calls = [call[:2] for call in trace.parts["close"]]
    contexts = 3 if trace.managed else 2
    *before, engine, runtime = calls
    assert (engine, runtime) == (("engine", "delete"), ("runtime", "delete"))
    assert sum(function == "delete" for _, function in before) == contexts
    assert calls[0] == ("stream", "synchronize")  # no work is left in a context that goes


def test_no_other_function_is_called(trace):
    names = {call.function for calls in trace.parts.values() for call in calls}
    assert not [name for name in names if ":" in name]
