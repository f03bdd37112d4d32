"""What people type besides snakemake."""
