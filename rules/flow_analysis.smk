"""Analyses of flows: log-densities of networks, and networks of other widths."""

from dwf_steps.pipeline.settings.flow_analysis import Likelihood, SampleOtherWidths

likelihood = RUN.step(Likelihood)
sample_other_widths = RUN.step(SampleOtherWidths)


rule likelihood:
    input:
        model=PATHS.model,
        basis="results/{zoo}/{canon}/{representation}/{subspace}/basis.npz",
        weights="results/{zoo}/{canon}/{representation}.zarr",
        samples="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/latents.npz",
    output:
        "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/likelihood.csv",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/likelihood.log",
    wildcard_constraints:
        generator=one_of(EXPERIMENT.with_likelihood),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=likelihood.mem_mb,
        runtime=likelihood.runtime,
        gpu=likelihood.gpu,
    params:
        settings=likelihood.settings,
        code=likelihood.code,
    shell:
        "python -m dwf_steps.likelihood --settings {params.settings:q} --model {input.model}"
        " --basis {input.basis} --weights {input.weights} --samples {input.samples} --output {output}"
        " > {log} 2>&1"


rule sample_other_widths:
    input:
        model=PATHS.model,
        weights="results/{zoo}/{canon}/{representation}.zarr",
        data=PATHS.generator_data,
    output:
        networks=directory(
            "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/other_widths/{widths}"
        ),
        manifest="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/other_widths/{widths}.json",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/other_widths-{widths}.log",
    wildcard_constraints:
        generator=one_of(EXPERIMENT.with_other_widths),
        widths=r"\d+(-\d+)+",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=sample_other_widths.mem_mb,
        runtime=sample_other_widths.runtime,
        gpu=sample_other_widths.gpu,
    params:
        settings=sample_other_widths.settings,
        code=sample_other_widths.sampling_code,
    shell:
        "python -m dwf_steps.sample_other_widths --settings {params.settings:q} --model {input.model}"
        " --weights {input.weights} --data {input.data} --output {output.networks} --manifest {output.manifest}"
        " > {log} 2>&1"
