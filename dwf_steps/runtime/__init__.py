"""Infrastructure of a running step: command line, logging, progress, device, randomness, run lock."""
