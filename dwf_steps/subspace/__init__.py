"""Subspaces of weight space."""
