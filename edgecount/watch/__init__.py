"""The service behind `edgecount watch`: it counts cameras for months and reports the counts."""
