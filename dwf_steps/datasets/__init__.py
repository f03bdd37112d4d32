"""Data sets, split into training, validation and test examples."""
