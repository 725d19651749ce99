"""The training config: settings as dataclasses, and the YAML files that they are read from."""

from edgecount.train.config.extends import FOLDER, bundled_configs, find_config
from edgecount.train.config.files import config_from_dict, config_to_dict, load_config
from edgecount.train.config.settings import (
    DataConfig,
    NamedOptions,
    PhotometricAugmentation,
    Teacher,
    TrainConfig,
)

__all__ = [
    "FOLDER",
    "DataConfig",
    "NamedOptions",
    "PhotometricAugmentation",
    "Teacher",
    "TrainConfig",
    "bundled_configs",
    "config_from_dict",
    "config_to_dict",
    "find_config",
    "load_config",
]
