"""Refusals of `count_images`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecount.errors import ConfigError, ModelError, SourceError


def test_what_cannot_be_counted_is_told_before_ray_starts(tmp_path: Path, crowd: Path) -> None:
    import pandas as pd
    import ray

    from edgecount.ray import count_images

    with pytest.raises(SourceError, match="no such file or folder"):
        count_images(tmp_path / "none")
    with pytest.raises(SourceError, match="got none"):
        count_images([])
    with pytest.raises(ConfigError, match="images: expected a folder, a list, a URL"):
        count_images([1])  # type: ignore[list-item]
    with pytest.raises(ModelError, match="no such model file"):
        count_images(crowd, tmp_path / "none.onnx")
    with pytest.raises(ConfigError, match=r"count_images: .*colour"):
        count_images(crowd, colour="red")
    with pytest.raises(ConfigError, match="threshold: expected a number"):
        count_images(crowd, threshold=2)
    with pytest.raises(ConfigError, match=r"backend: expected one of .*, got 'onxruntime'"):
        count_images(crowd, backend="onxruntime")
    with pytest.raises(ConfigError, match="batch_size: expected a whole number"):
        count_images(crowd, batch_size=0)
    with pytest.raises(ConfigError, match="precision: expected"):
        count_images(crowd, precision="int3")
    with pytest.raises(ConfigError, match="concurrency: expected"):
        count_images(crowd, concurrency=0)
    with pytest.raises(ConfigError, match=r"actor_options: expected further .* got 'num_cpus'"):
        count_images(crowd, actor_options={"num_cpus": 1})
    with pytest.raises(ConfigError, match="actor_options: expected a mapping"):
        count_images(crowd, actor_options=[("num_gpus", 1)])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"filesystem: expected a pyarrow\.fs\.FileSystem"):
        count_images(crowd, filesystem="s3")  # type: ignore[arg-type]
    for done in ("counts/0.jpg", pd.DataFrame({"source": ["a"]}), 5):
        with pytest.raises(ConfigError, match="done: expected sources of rows"):
            count_images(crowd, done=done)  # type: ignore[arg-type]
    assert not ray.is_initialized()


def test_what_is_done_comes_in_many_forms() -> None:
    import pandas as pd
    import pyarrow as pa

    from edgecount.ray._dataset import _sources

    class Filter:
        def __contains__(self, name: str) -> bool:
            return name in ("a", "b")

    names = ["a", "b"]
    for done in (
        {*names}, names, tuple(names), iter(names), dict.fromkeys(names), np.array(names),
        pd.Series(names, index=[7, 8]), pa.chunked_array([["a"], ["b"]]), Filter(),
    ):  # fmt: skip
        sources = _sources(done)
        assert [name for name in "abc" if name in sources] == names


def test_a_gpu_may_be_named_where_there_is_none(crowd: Path) -> None:
    from edgecount.ray._dataset import _check_options

    _check_options("edgecount-n", {"device": 1, "backend": "onnxruntime-cuda"}, np.int64(4))  # type: ignore[arg-type]
