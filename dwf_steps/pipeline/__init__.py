"""What the rules ask of Python: the grid of cells, paths, settings of each step, resources, fingerprints."""
