"""Parts of fleet.py: boxes that are not there, and what measures the load that they make."""
