"""Architectures, a family a file."""
