"""Symmetries as plain data, read off an architecture."""

PermutationSpec = dict[str, tuple[str | None, ...]]
"""parameter -> for each axis, the permutation that acts on it (None: no freedom there)."""

RescalingSpec = list[tuple[tuple[str, ...], str]]
"""For each hidden layer: (incoming parameters, whose first axis are the units), outgoing weight (units on
its second axis). The first incoming parameter is the one whose rows get unit norm."""
