"""What networks say about the test set: the zoo's, and generated ones."""


rule score_zoo:
    input:
        networks="results/{zoo}/zoo/shard-{shard}",
        manifest="results/{zoo}/zoo/shard-{shard}.json",
        data="results/{zoo}/data.npz",
        other=other_data,
    output:
        "results/{zoo}/outputs/shard-{shard}.npz",
    log:
        "results/logs/{zoo}/score_zoo-{shard}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(score_zoo_work, accelerated=True),
        runtime=minutes(score_zoo_work, accelerated=True),
        gpu=gpus(score_zoo_work),
    params:
        settings=score_settings,
        code=fingerprint("dwf_steps.score"),
    shell:
        "python -m dwf_steps.score --settings {params.settings:q} --data {input.data}"
        " --other-data {input.other} --networks {input.manifest} --output {output} > {log} 2>&1"


rule score:
    input:
        networks=recalibrated_networks,
        manifest=recalibrated_manifest,
        data="results/{zoo}/data.npz",
        other=other_data,
    output:
        "results/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/outputs/shard-{shard}.npz",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/score-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/score-{shard}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(score_work, accelerated=True),
        runtime=minutes(score_work, accelerated=True),
        gpu=gpus(score_work),
    params:
        settings=score_settings,
        code=fingerprint("dwf_steps.score"),
    shell:
        "python -m dwf_steps.score --settings {params.settings:q} --data {input.data}"
        " --other-data {input.other} --networks {input.manifest} --output {output} > {log} 2>&1"
