"""Which predictions of a detector are of which head: a rule of each paper in a file."""
