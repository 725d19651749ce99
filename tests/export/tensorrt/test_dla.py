"""A configuration for a deep-learning accelerator, on the objects of TensorRT for RTX.

There are no accelerators here, so a builder says that there are; the configuration is a real one.
"""

from __future__ import annotations

import dataclasses
import logging

import pytest

pytest.importorskip("onnx")

from graphs import small_model

from edgecount.errors import BackendError, ConfigError, EdgeCountError
from edgecount.export.tensorrt.build import EngineOptions, check_engine
from edgecount.export.tensorrt.config import make_config
from edgecount.export.tensorrt.network import parse_onnx
from edgecount.runtime.backends.tensorrt.library import load_tensorrt, probe_features
from edgecount.runtime.backends.tensorrt.logger import TensorRTLog
from edgecount.runtime.models.sidecar import InputShapes

try:
    TRT = load_tensorrt("tensorrt-rtx")
except EdgeCountError as missing:
    pytest.skip(str(missing), allow_module_level=True)

STATIC = InputShapes.static((1, 3, 64, 64))


class Board:
    """A builder on a board with two accelerators, and how many layers those can run."""

    num_DLA_cores = 2  # noqa: N815 (TensorRT calls it so)

    def __init__(self, builder, fit):
        self.builder, self.fit = builder, fit

    def __getattr__(self, name):
        return getattr(self.builder, name)

    def create_builder_config(self):
        return Config(self.builder.create_builder_config(), self.fit)


class Config:
    """A real configuration; which layers fit is the only answer that is not its own."""

    def __init__(self, config, fit):
        vars(self).update(config=config, fit=fit, asked=0, core=None)

    def __getattr__(self, name):
        return getattr(self.config, name)

    def __setattr__(self, name, value):
        if name == "DLA_core":
            vars(self)["core"] = value
        setattr(self.config, name, value)

    def can_run_on_DLA(self, layer):  # noqa: N802
        assert self.config.can_run_on_DLA(layer) in (True, False)  # as TensorRT takes it
        vars(self)["asked"] += 1
        return self.asked <= self.fit


@pytest.fixture
def configure(tmp_path):
    log = TensorRTLog(TRT)
    builder = TRT.Builder(log.logger)

    def make(fit, precision="fp16", core=1, **features):
        probed = dataclasses.replace(probe_features(TRT), **features)
        data = small_model().SerializeToString()
        network, _parser = parse_onnx(
            TRT, probe_features(TRT), builder, log, path=tmp_path / "m", data=data, typed=True
        )
        options = EngineOptions("tensorrt-rtx", precision, STATIC, dla_core=core)
        board = Board(builder, fit)
        return make_config(TRT, probed, board, network, options, STATIC, typed=True)

    return make


def test_what_the_accelerator_cannot_run_goes_to_the_gpu(configure, caplog):
    with caplog.at_level(logging.INFO):
        config = configure(fit=5)
    assert config.default_device_type == TRT.DeviceType.DLA
    assert config.core == 1
    assert config.get_flag(TRT.BuilderFlag.GPU_FALLBACK)
    assert f"can run 5 of {config.asked} layers, the GPU the others" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_a_model_that_the_accelerator_runs_nothing_of_is_a_warning(configure, caplog):
    configure(fit=0)
    assert "can run no layer of this model" in caplog.text


def test_bytes_on_an_older_accelerator_are_a_warning(configure, caplog):
    configure(fit=5, precision="int8")
    assert caplog.text == ""
    configure(fit=5, precision="int8", precision_flags=True)
    assert "run no graph with QuantizeLinear" in caplog.text


def test_an_accelerator_that_the_board_does_not_have(configure):
    with pytest.raises(BackendError, match=r"dla_core: .* which are 2, got 2: leave it out"):
        configure(fit=5, core=2)


def test_it_is_missed_before_the_long_work():
    options = EngineOptions("tensorrt-rtx", "fp16", STATIC, dla_core=0)
    with pytest.raises(BackendError, match=r"dla_core: .* which are 0, got 0"):
        check_engine(options)


@pytest.mark.parametrize(
    ("precision", "shapes", "message"),
    [
        ("fp32", STATIC, "expected with `fp16` or `int8`"),
        ("fp16", InputShapes((1, 3, 64, 64), (1, 3, 64, 64), (2, 3, 64, 64)), "one `size`"),
    ],
)
def test_what_no_accelerator_takes(precision, shapes, message):
    with pytest.raises(ConfigError, match=f"dla_core: .*{message}"):
        EngineOptions("tensorrt", precision, shapes, dla_core=0)
