"""Parts of `edgecount count --out`."""
