"""Analyses of flows: log-densities of networks, and networks of other widths."""


rule likelihood:
    input:
        model=model_of,
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
        samples="results/{zoo}/{canon}/{subspace}/{generator}/latents.npz",
    output:
        "results/{zoo}/{canon}/{subspace}/{generator}/likelihood.csv",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/likelihood.log",
    wildcard_constraints:
        generator=one_of(WITH_LIKELIHOOD),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(likelihood_work, accelerated=True),
        runtime=minutes(likelihood_work, accelerated=True),
        gpu=gpus(likelihood_work),
    params:
        settings=likelihood_settings,
        code=fingerprint("dwf_steps.likelihood"),
    shell:
        "python -m dwf_steps.likelihood --settings {params.settings:q} --model {input.model}"
        " --basis {input.basis} --weights {input.weights} --samples {input.samples} --output {output}"
        " > {log} 2>&1"


rule sample_other_widths:
    input:
        model=model_of,
        weights="results/{zoo}/{canon}/weights.zarr",
        data=generator_data,
    output:
        networks=directory("results/{zoo}/{canon}/{subspace}/{generator}/other_widths/{widths}"),
        manifest="results/{zoo}/{canon}/{subspace}/{generator}/other_widths/{widths}.json",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/other_widths-{widths}.log",
    wildcard_constraints:
        generator=one_of(WITH_OTHER_WIDTHS),
        widths=r"\d+(-\d+)+",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(sample_other_widths_work, accelerated=True),
        runtime=minutes(sample_other_widths_work, accelerated=True),
        gpu=gpus(sample_other_widths_work),
    params:
        settings=other_widths_settings,
        code=generator_code("dwf_steps.sample_other_widths", sampled=True),
    shell:
        "python -m dwf_steps.sample_other_widths --settings {params.settings:q} --model {input.model}"
        " --weights {input.weights} --data {input.data} --output {output.networks} --manifest {output.manifest}"
        " > {log} 2>&1"
