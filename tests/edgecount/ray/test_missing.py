"""The error where Ray is not installed."""

from __future__ import annotations

import sys

import pytest

from edgecount.errors import MissingExtraError


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edgecount.ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'pip install "edgecount\[ray\]"'):
        __import__("edgecount.ray")
