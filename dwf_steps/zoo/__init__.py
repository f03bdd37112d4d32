"""Zoos: training many networks at once, and importing networks trained elsewhere."""
