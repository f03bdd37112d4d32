"""What all rules share: the validated experiment, its paths and its steps."""

import os

from dwf_steps.pipeline.start import one_of, start

RUN = start(workflow, config)
EXPERIMENT, PATHS = RUN.experiment, RUN.paths

# Marking rules for the cache without one being named makes Snakemake warn in every run.
SHARED = "SNAKEMAKE_OUTPUT_CACHE" in os.environ


# The image that `--sdm apptainer` runs steps in: none is published.
container: os.environ.get("DWF_CONTAINER")


wildcard_constraints:
    **RUN.constraints,
