"""Checks that need more than one section of the configuration."""
