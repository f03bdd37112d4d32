"""Data sets, divided into training, validation and test."""
