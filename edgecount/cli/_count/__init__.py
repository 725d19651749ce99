"""Parts of `edgecount count`."""
