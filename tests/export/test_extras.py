"""Advice on what to install does not break what is installed."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from edgecount.export.extras import missing

pytest.importorskip("onnxruntime")


@pytest.fixture
def for_gpus(monkeypatch):
    """The module onnxruntime is that of the package onnxruntime-gpu."""
    found = metadata.distribution

    def distribution(name):
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "distribution", distribution)


@pytest.mark.parametrize("extra", ["engine", "export"])
def test_beside_onnxruntime_the_extra_is_named(extra):
    try:
        metadata.distribution("onnxruntime")
    except metadata.PackageNotFoundError:
        pytest.skip("another package gives onnxruntime here")
    error = missing("onnx", extra, "to export models")
    assert str(error).endswith(f'run  pip install "edgecount[{extra}]"')


@pytest.mark.usefixtures("for_gpus")
def test_beside_another_package_of_it_the_extra_s_others_are_named():
    error = missing("onnx", "engine", "to export models")
    command = str(error).partition("run  pip install ")[2].split()
    names = [part.strip('"').partition(">")[0] for part in command]
    assert sorted(names) == ["jinja2", "onnx", "onnxslim"]
    assert (error.package, error.extra) == ("onnx", "engine")
    more = str(missing("torch", "export", "to read checkpoints"))
    assert '"torch>=' in more
    assert '"onnxscript>=' in more
    assert "onnxruntime" not in more


@pytest.mark.usefixtures("for_gpus")
def test_without_any_onnxruntime_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert '"edgecount[engine]"' in str(missing("onnx", "engine", "to export models"))
