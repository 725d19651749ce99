"""Sinks as a config asks for them."""

from pathlib import Path

import pytest

pytest.importorskip("prometheus_client", reason="pip install edgecount[watch]")

from edgecount.watch.config import (
    ClipsConfig,
    CsvConfig,
    JsonlConfig,
    MqttConfig,
    PrometheusConfig,
    SinksConfig,
    WebhookConfig,
)
from edgecount.watch.sinks.opening import open_sinks
from edgecount.watch.sinks.watched import Watched


def test_none_are_asked_for():
    assert open_sinks(SinksConfig()) == []


def test_all_of_them(tmp_path):
    secret = tmp_path / "secret"
    config = SinksConfig(
        JsonlConfig(tmp_path / "a.jsonl"),
        CsvConfig(tmp_path / "a.csv"),
        ClipsConfig(tmp_path / "clips"),
        MqttConfig("broker.local", user="edgecount", password_file=secret),
        WebhookConfig("https://example.org/hook", secret_file=secret),
        PrometheusConfig(),
    )
    # Secrets are read when they are needed, and nothing is written before that.
    sinks = open_sinks(config, {"door": Watched("Main door")})
    assert [one.name for one in sinks] == ["jsonl", "csv", "clips", "mqtt", "webhook", "prometheus"]
    assert list(Path(tmp_path).iterdir()) == []
    assert [one.name for one in sinks if one.wants_images] == ["clips"]
    assert [one.name for one in sinks if not one.wants_readings] == ["webhook"]
