"""Generators: fitted where they have a model, sampled, and decoded; or networks are made without the zoo."""


rule fit_generator:
    input:
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
    output:
        model="results/{zoo}/{canon}/{subspace}/{generator}/model.safetensors",
        losses="results/{zoo}/{canon}/{subspace}/{generator}/training.csv",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/fit_generator.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/fit_generator.tsv"
    wildcard_constraints:
        generator=one_of(FITTED_BY.values()),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(fit_generator_work, accelerated=True),
        runtime=minutes(fit_generator_work, accelerated=True),
        gpu=gpus(fit_generator_work),
    params:
        settings=fit_generator_settings,
        code=generator_code("dwf_steps.fit_generator"),
    shell:
        "python -m dwf_steps.fit_generator --settings {params.settings:q} --code {params.code}"
        " --basis {input.basis} --weights {input.weights} --output {output.model} --losses {output.losses}"
        " > {log} 2>&1"


rule sample_generator:
    input:
        model=model_of,
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
        weights=weights_if_read,
        data=data_if_read,
    output:
        "results/{zoo}/{canon}/{subspace}/{generator}/latents.npz",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/sample_generator.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/sample_generator.tsv"
    wildcard_constraints:
        generator=one_of(SAMPLED),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(sample_generator_work, accelerated=True),
        runtime=minutes(sample_generator_work, accelerated=True),
        gpu=gpus(sample_generator_work),
    params:
        settings=sample_generator_settings,
        code=generator_code("dwf_steps.sample_generator", sampled=True),
    shell:
        "python -m dwf_steps.sample_generator --settings {params.settings:q} --model {input.model}"
        " --basis {input.basis} --weights {input.weights} --data {input.data} --output {output} > {log} 2>&1"


rule make_networks:
    input:
        data=data_if_read,
        generating=cost_matched_benchmarks,
        training=cost_matched_zoo_benchmarks,
        zoo=cost_matched_zoo,
    output:
        networks=directory("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}"),
        manifest="results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/make_networks-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/make_networks-{shard}.tsv"
    wildcard_constraints:
        generator=one_of(MADE),
    conda:
        "../envs/environment.yaml"
    threads: zoo_threads
    resources:
        mem_mb=memory(make_networks_work, accelerated=True),
        runtime=minutes(make_networks_work, accelerated=True),
        gpu=gpus(make_networks_work),
    params:
        settings=make_networks_settings,
        code=generator_code("dwf_steps.make_networks", sampled=True),
    shell:
        "python -m dwf_steps.make_networks --settings {params.settings:q} --code {params.code}"
        " --data {input.data} --generating {input.generating} --training {input.training} --zoo {input.zoo}"
        " --output {output.networks} --manifest {output.manifest} > {log} 2>&1"


rule decode:
    input:
        samples="results/{zoo}/{canon}/{subspace}/{generator}/latents.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
    output:
        networks=directory("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}"),
        manifest="results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/decode-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/decode-{shard}.tsv"
    wildcard_constraints:
        generator=one_of(SAMPLED),
    conda:
        "../envs/environment.yaml"
    threads: matrix_threads
    resources:
        mem_mb=memory(decode_work),
        runtime=minutes(decode_work),
    params:
        settings=decode_settings,
        code=fingerprint("dwf_steps.decode"),
    shell:
        "python -m dwf_steps.decode --settings {params.settings:q} --threads {threads}"
        " --samples {input.samples} --weights {input.weights} --output {output.networks}"
        " --manifest {output.manifest} > {log} 2>&1"
