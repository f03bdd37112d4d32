"""Score the zoo's networks in the same way as generated ones."""

from dwf_steps.runtime.command_line import run
from dwf_steps.score import main

if __name__ == "__main__":
    run(main)
