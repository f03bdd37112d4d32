"""Coordinates of networks: products of spheres and Euclidean parts."""
