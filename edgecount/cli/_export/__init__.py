"""Parts of `edgecount export`."""
