"""The geometry of weights: spheres and Euclidean parts."""
