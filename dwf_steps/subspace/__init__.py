"""Subspaces of weight space, all held in dual form: combinations of training rows."""
