"""Count the people of several streams in a pipeline of DeepStream, a JSON line a frame.

DeepStream decodes, batches, scales and runs the network; edgecount's kernel counts its maps on the
GPU. See README.md.
"""

from __future__ import annotations

import argparse
import configparser
import importlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecount.errors import ConfigError, EdgeCountError
from edgecount.runtime.pipeline.outputs import OutputCounter


class StreamCounter:
    """A counter of the maps that nvinfer attaches to frames.

    Args:
        config: nvinfer's configuration.
        model: the model that it runs; None: the ONNX file that the configuration names.

    Raises:
        ConfigError: there is no such configuration.
    """

    def __init__(self, config: str, model: str | None = None) -> None:
        parser = configparser.ConfigParser()
        parser.read(config)  # which does not say that there is no such file
        try:
            settings: Mapping[str, str] = parser["property"]
            _, height, width = (int(side) for side in settings["infer-dims"].split(";"))
            self._model = model or str(Path(config).parent / settings["onnx-file"])
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"{config}: expected a configuration of nvinfer with [property], infer-dims and "
                f"onnx-file, as write_config.py writes it: {error} is missing or no number"
            ) from None
        self._input = height, width
        self._counters: dict[tuple[int, int], OutputCounter] = {}

    def lines(self, batch_meta: Any) -> list[str]:
        """Return a line for each frame of a batch."""
        lines = []
        for frame in batch_meta.frame_items:
            size = frame.pipeline_width, frame.pipeline_height
            for tensors in frame.tensor_items:
                found: dict[str, Any] = {"stream": frame.pad_index, "frame": frame.frame_number}
                try:
                    if size not in self._counters:
                        self._counters[size] = OutputCounter(self._model, size, self._input)
                    layers = tensors.as_tensor_output().get_layers()
                    result = self._counters[size].count(layers)
                    found |= {"count": round(result.count, 2), "peak_count": result.peak_count}
                except EdgeCountError as error:  # an error in a probe would end the process
                    found["error"] = str(error)
                lines.append(json.dumps(found))
        return lines


def parse_size(text: str) -> dict[str, int]:
    """Return the options of `batch_capture` for a size such as "1280x720".

    Raises:
        argparse.ArgumentTypeError: it is no such text.
    """
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT, such as 1280x720, got {text!r}")
    return {"width": int(match[1]), "height": int(match[2])}


def main() -> None:
    """Run the pipeline until its streams end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="nvinfer's configuration, of write_config.py")
    parser.add_argument("streams", nargs="+", help="addresses, or file:///...")
    scaled = "of the streams, which are scaled to it first [DeepStream's default]"
    parser.add_argument("--size", type=parse_size, metavar="WIDTHxHEIGHT", help=scaled)
    given = parser.parse_args()
    try:
        maker: Any = importlib.import_module("pyservicemaker")
    except ImportError:
        sys.exit("pyservicemaker is not installed: it comes with DeepStream 8 and newer")
    try:
        counter = StreamCounter(given.config)
    except EdgeCountError as error:
        sys.exit(str(error))

    class Printer(maker.BatchMetadataOperator):  # type: ignore[misc]
        def handle_metadata(self, batch_meta: Any) -> None:
            for line in counter.lines(batch_meta):
                print(line, flush=True)

    size = given.size or {}
    flow = maker.Flow(maker.Pipeline("edgecount")).batch_capture(given.streams, **size)
    flow = flow.infer(given.config).attach(maker.Probe("counts", Printer()))
    flow.render(maker.RenderMode.DISCARD)()


if __name__ == "__main__":
    main()
