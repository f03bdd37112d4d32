"""Divide the data set that networks are taken to, as a zoo's own data are divided."""

from dwf_steps.divide_data import main
from dwf_steps.runtime.command_line import run

if __name__ == "__main__":
    run(main)
