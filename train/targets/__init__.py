"""Targets drawn from head points and boxes, in NumPy; one file per idea."""
