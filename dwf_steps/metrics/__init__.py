"""Measures of quality and novelty."""
