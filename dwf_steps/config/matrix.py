"""How a zoo's weight matrix is stored and streamed."""

from typing import Annotated, Literal

from pydantic import Field

from dwf_steps.config.section import Section


class MatrixConfig(Section):
    """How a zoo's weight matrix is stored, and how passes over its columns are divided."""

    dtype: Literal["float16", "float32"] = "float32"
    """Precision of the stored weights; products are computed in float32 or higher. float16 halves the disk
    space."""
    memory_mb: Annotated[int, Field(ge=64)] = 1024
    """Memory for blocks of the matrix in a job that streams it, in MiB."""
    gram_jobs: Annotated[int, Field(ge=1)] = 1
    """Number of jobs over which the columns are divided for the Gram matrix."""
    decode_jobs: Annotated[int, Field(ge=1)] = 1
    """Number of jobs over which a generator's samples are divided for decoding; each job reads the whole
    matrix."""
