"""Assumptions about GPUs. All numbers are guesses, none is measured: `benchmarks/gpu.py` measures them."""

VARIABLE = "DWF_GPU"
"""The environment variable that says whether GPUs may be used: `no` after ``--resources gpu=0``.

Steps read it, and so do cluster jobs, which parse the workflow again."""

# Sizes of batches on a GPU.
GROUP_MULTIPLICATIONS = 10**9  # per input, over all networks; larger groups are no faster than single ones
SCORING_BYTES = 2**28  # of the widest layer's outputs, for a block of examples that is scored
WORKING_MB = 1000  # of GPU memory: CUDA's context and its libraries' workspaces, in every process

# Which jobs request a GPU, and their estimated resources.
SECONDS = 1800  # of one thread; shorter jobs are not worth waiting for a GPU
SPEED = 3  # of a GPU relative to one thread, at least: small operations gain little
SPEED_LARGE = 1000  # for networks that fill the GPU: 5 * 10^12 operations per second
LARGE_NETWORK = 5e6  # multiplications per input from which a network fills a GPU
HOST_MB = 4000  # of the host's memory, taken by CUDA
