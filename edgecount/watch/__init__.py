"""The service behind `edgecount watch`: cameras that are counted for months, and who is told."""
