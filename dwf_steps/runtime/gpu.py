"""What is assumed of a GPU. All numbers are guessed, none is measured: `benchmarks/gpu.py` measures them."""

VARIABLE = "DWF_GPU"
"""The environment variable that tells steps, and a cluster's jobs, which read the workflow again, whether
GPUs may be used: `no` after ``--resources gpu=0``."""

# What is run at once on a card.
GROUP_MULTIPLICATIONS = 10**9  # for one input, of all networks: with more they are no faster than one by one
SCORING_BYTES = 2**28  # of the widest layer's outputs, for a block of examples that is scored
WORKING_MB = 1000  # of a card: CUDA's context and workspaces of its libraries, in every process

# What a job with a card is asked for and told to take.
SECONDS = 1800  # of one thread; what takes less is not worth waiting for a card
SPEED = 3  # of a card beside one thread, at least: small operations gain little
SPEED_LARGE = 1000  # where networks fill it: 5 * 10^12 operations a second
LARGE_NETWORK = 5e6  # multiplications for one input, from which on a network fills a card
HOST_MB = 4000  # what CUDA takes of the host's memory
