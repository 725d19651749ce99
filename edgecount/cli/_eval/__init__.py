"""Parts of `edgecount eval`."""
