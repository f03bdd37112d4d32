"""Generators: a flow and the controls it is compared with. All of them yield `Samples`."""
