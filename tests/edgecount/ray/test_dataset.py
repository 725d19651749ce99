"""Refusals of `count_images`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecount.errors import BackendError, ConfigError, ModelError, SourceError


def test_what_cannot_be_counted_is_told_before_ray_starts(tmp_path: Path, crowd: Path) -> None:
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
    with pytest.raises(BackendError, match=r"backend: expected one of .*, got 'onxruntime'"):
        count_images(crowd, backend="onxruntime")
    with pytest.raises(ConfigError, match="batch_size: expected a whole number"):
        count_images(crowd, batch_size=0)
    with pytest.raises(ConfigError, match="precision: expected"):
        count_images(crowd, precision="int3")
    with pytest.raises(ConfigError, match="concurrency: expected"):
        count_images(crowd, concurrency=0)
    assert not ray.is_initialized()
