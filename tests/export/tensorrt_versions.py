"""Versions of TensorRT's bindings that the backend and the builder are held to."""

from __future__ import annotations

VERSIONS = {
    "8.6.1": "tensorrt-bindings==8.6.1",
    "10.3.0": "tensorrt-cu12-bindings==10.3.0",
    "10.7.0": "tensorrt-cu12-bindings==10.7.0",
    "10.13.3.9": "tensorrt-cu12-bindings==10.13.3.9",
    "10.16.1.11": "tensorrt-cu13-bindings==10.16.1.11",
    "11.4.0.106": "tensorrt-cu13-bindings==11.4.0.106",
    "rtx": "tensorrt-rtx",
}
# Features that a version does not have; it has all others.
AHEAD_OF_TIME = {"compute_capabilities", "engine_validity", "capture_query", "runtime_cache"}
ABSENT = {
    "8.6.1": {"strongly_typed", "progress_monitor", "parser_nodes", "context_memory"}
    | {"same_capability"}
    | AHEAD_OF_TIME,
    "10.3.0": {"same_capability"} | AHEAD_OF_TIME,
    "10.7.0": {"same_capability"} | AHEAD_OF_TIME,
    "10.13.3.9": AHEAD_OF_TIME,
    "10.16.1.11": AHEAD_OF_TIME,
    "11.4.0.106": {"explicit_batch", "precision_flags", "profile_sharing"} | AHEAD_OF_TIME,
    "rtx": {"explicit_batch", "precision_flags", "profile_sharing"},
}
