"""Imported before PyTorch: OpenMP's threads sleep while they wait for each other, as in the workflow."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
