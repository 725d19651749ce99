"""The parts of `edgecount train`."""
