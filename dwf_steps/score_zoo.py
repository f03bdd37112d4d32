"""Score the zoo's networks, as generated ones are scored."""

from dwf_steps.runtime.command_line import run
from dwf_steps.score import main

if __name__ == "__main__":
    run(main)
