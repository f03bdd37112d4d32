"""Zoos: training many networks at once, reading networks of others."""
