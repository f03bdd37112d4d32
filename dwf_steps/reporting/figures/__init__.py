"""The figures, in one consistent style."""

import matplotlib as mpl

mpl.use("Agg")
