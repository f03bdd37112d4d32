"""Divide the data set that networks are transferred to, in the same way as a zoo's own data."""

from dwf_steps.divide_data import main
from dwf_steps.runtime.command_line import run

if __name__ == "__main__":
    run(main)
