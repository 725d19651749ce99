"""Parts of `edgecount inspect`."""
