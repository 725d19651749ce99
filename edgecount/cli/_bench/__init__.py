"""Parts of `edgecount bench`."""
