"""The parts of `edgecount watch`: its config, its signals, its page, what it logs and prints."""
