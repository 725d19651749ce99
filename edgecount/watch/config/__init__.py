"""The config of `edgecount watch`: dataclasses, and the YAML file they are read from."""

from edgecount.watch.config.camera import (
    AlarmConfig,
    CameraConfig,
    GroundConfig,
    LineConfig,
    RegionConfig,
    SmoothConfig,
)
from edgecount.watch.config.certificates import ssl_context
from edgecount.watch.config.checks import SettingError
from edgecount.watch.config.loading import load
from edgecount.watch.config.outputs import (
    ClipsConfig,
    CsvConfig,
    HistoryConfig,
    JsonlConfig,
    KeepConfig,
    MqttConfig,
    PrometheusConfig,
    ServeConfig,
    SinksConfig,
    WebhookConfig,
)
from edgecount.watch.config.saving import ABSENT, restore, save
from edgecount.watch.config.secrets import read_secret
from edgecount.watch.config.settings import WatchConfig

__all__ = [
    "ABSENT",
    "AlarmConfig",
    "CameraConfig",
    "ClipsConfig",
    "CsvConfig",
    "GroundConfig",
    "HistoryConfig",
    "JsonlConfig",
    "KeepConfig",
    "LineConfig",
    "MqttConfig",
    "PrometheusConfig",
    "RegionConfig",
    "ServeConfig",
    "SettingError",
    "SinksConfig",
    "SmoothConfig",
    "WatchConfig",
    "WebhookConfig",
    "load",
    "read_secret",
    "restore",
    "save",
    "ssl_context",
]
