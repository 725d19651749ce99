"""From a frame to counted maps: preprocessing, inference, postprocessing, and their schedule."""
