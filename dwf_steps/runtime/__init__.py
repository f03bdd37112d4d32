"""What a running step needs: command line, logging, progress, device, randomness, run lock."""
