"""Scores: the zoo's networks among themselves, generated networks against the zoo."""


rule evaluate_zoo:
    input:
        manifests=shard_paths("results/{zoo}/zoo/shard-{shard}.json"),
        predictions=shard_paths("results/{zoo}/zoo/shard-{shard}.npz"),
        weights="results/{zoo}/{canon}/weights.zarr",
        gram=gram_parts,
    output:
        "results/{zoo}/{canon}/zoo_metrics.csv",
    log:
        "results/logs/{zoo}/{canon}/evaluate_zoo.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(evaluate_zoo_work),
        runtime=minutes(evaluate_zoo_work),
    params:
        code=fingerprint("dwf_steps.evaluate_zoo"),
    shell:
        "python -m dwf_steps.evaluate_zoo --manifests {input.manifests} --predictions {input.predictions}"
        " --weights {input.weights} --gram {input.gram} --output {output} > {log} 2>&1"


rule evaluate:
    input:
        networks=generated_shards("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}"),
        generated=generated_shards("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}.json"),
        weights="results/{zoo}/{canon}/weights.zarr",
        data=fetched_data,
        table=own_table,
        zoo=shard_paths("results/{zoo}/zoo/shard-{shard}.json"),
        predictions=shard_paths("results/{zoo}/zoo/shard-{shard}.npz"),
    output:
        "results/{zoo}/{canon}/{subspace}/{generator}/metrics.csv",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/evaluate.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/evaluate.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(evaluate_work),
        runtime=minutes(evaluate_work),
    params:
        settings=task_settings,
        code=fingerprint("dwf_steps.evaluate"),
    shell:
        "python -m dwf_steps.evaluate --settings {params.settings:q} --data-dir {input.data}"
        " --generated {input.generated} --weights {input.weights} --zoo-manifests {input.zoo}"
        " --predictions {input.predictions} --output {output} > {log} 2>&1"
