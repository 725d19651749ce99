"""Short trainings that compare what the papers compare: their list, their runner, their tables."""
