"""Generators: flows, diffusion models, autoencoders, and the controls that they are compared with."""
