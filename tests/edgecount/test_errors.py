"""The tree of errors, as its docstring draws it."""

from __future__ import annotations

import copy
import pickle

import pytest

from edgecount import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_in_the_tree_and_in_the_drawing(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.EdgeCountError)
    assert name in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (errors.InputError, ValueError),
        (errors.SourceError, errors.InputError),
        (errors.ConfigError, ValueError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_bases(error: type[Exception], base: type[Exception]) -> None:
    assert issubclass(error, base)


def test_missing_extra_gives_the_pip_command() -> None:
    error = errors.MissingExtraError("onnxruntime", "cpu", "to run models")
    assert 'pip install "edgecount[cpu]"' in str(error)
    assert (error.package, error.extra) == ("onnxruntime", "cpu")


def test_missing_extra_may_name_packages_instead() -> None:
    wanted = ["onnx>=1.16", "jinja2>=3.1"]
    error = errors.MissingExtraError("onnx", "engine", "to export models", packages=wanted)
    assert str(error).endswith('run  pip install "onnx>=1.16" "jinja2>=3.1"')
    assert error.extra == "engine"


def test_a_missing_extra_can_be_copied_and_sent_to_another_process() -> None:
    error = errors.MissingExtraError("onnx", "cpu", "to run", packages=["a", "b"])
    sent = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    for again in (sent, copy.copy(error), copy.deepcopy(error)):
        assert type(again) is errors.MissingExtraError
        assert (str(again), again.package, again.extra) == (str(error), "onnx", "cpu")
