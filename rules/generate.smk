"""Generators: flows are trained and integrated, controls are drawn; all are decoded alike."""


rule train_flow:
    input:
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
    output:
        model="results/{zoo}/{canon}/{subspace}/{generator}/model.safetensors",
        losses="results/{zoo}/{canon}/{subspace}/{generator}/training.csv",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/train_flow.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/train_flow.tsv"
    wildcard_constraints:
        generator=one_of(FITTED_BY.values()),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(train_flow_work, accelerated=True),
        runtime=minutes(train_flow_work, accelerated=True),
        gpu=gpus(train_flow_work),
    params:
        settings=flow_training_settings,
        code=fingerprint("dwf_steps.train_flow"),
    shell:
        "python -m dwf_steps.train_flow --settings {params.settings:q} --code {params.code}"
        " --basis {input.basis} --weights {input.weights} --output {output.model} --losses {output.losses}"
        " > {log} 2>&1"


rule sample_flow:
    input:
        model=model_of,
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
        weights=if_guided("results/{zoo}/{canon}/weights.zarr"),
        data=if_guided(steering_data),
    output:
        "results/{zoo}/{canon}/{subspace}/{generator}/latents.npz",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/sample.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/sample.tsv"
    wildcard_constraints:
        generator=one_of(FLOWS),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(sample_flow_work, accelerated=True),
        runtime=minutes(sample_flow_work, accelerated=True),
        gpu=gpus(sample_flow_work),
    params:
        settings=sample_flow_settings,
        code=fingerprint("dwf_steps.sample_flow"),
    shell:
        "python -m dwf_steps.sample_flow --settings {params.settings:q} --model {input.model}"
        " --basis {input.basis} --weights {input.weights} --data {input.data} --output {output} > {log} 2>&1"


rule sample_control:
    input:
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
    output:
        "results/{zoo}/{canon}/{subspace}/{generator}/latents.npz",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/sample.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/sample.tsv"
    wildcard_constraints:
        generator=one_of(CONTROLS),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(sample_control_work),
        runtime=minutes(sample_control_work),
    params:
        settings=control_settings,
        code=fingerprint("dwf_steps.sample_control"),
    shell:
        "python -m dwf_steps.sample_control --settings {params.settings:q} --basis {input.basis}"
        " --output {output} > {log} 2>&1"


rule train_control:
    input:
        data="results/{zoo}/data.npz",
        generating=generator_costs,
        training=zoo_costs,
        zoo=priced_zoo,
    output:
        networks=directory("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}"),
        manifest="results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/train_control-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/train_control-{shard}.tsv"
    wildcard_constraints:
        generator=one_of(TRAINED_CONTROLS),
    conda:
        "../envs/environment.yaml"
    threads: zoo_threads
    resources:
        mem_mb=memory(train_control_work, accelerated=True),
        runtime=minutes(train_control_work, accelerated=True),
        gpu=gpus(train_control_work),
    params:
        settings=train_control_settings,
        code=fingerprint("dwf_steps.train_control"),
    shell:
        "python -m dwf_steps.train_control --settings {params.settings:q} --code {params.code}"
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
