"""From a frame to a count: backends, pre- and postprocessing, and sources of frames."""
