"""Recalibration of networks on training examples, many networks at once."""
