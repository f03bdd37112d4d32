"""Measures: the zoo's networks among themselves, generated networks against the zoo."""


rule evaluate_zoo:
    input:
        outputs=zoo_outputs,
        weights="results/{zoo}/{canon}/weights.zarr",
        gram=gram_parts,
    output:
        metrics="results/{zoo}/{canon}/zoo_metrics/{recalibration}/metrics.csv",
        ensembles="results/{zoo}/{canon}/zoo_metrics/{recalibration}/ensembles.csv",
    log:
        "results/logs/{zoo}/{canon}/evaluate_zoo-{recalibration}.log",
    conda:
        "../envs/environment.yaml"
    threads: matrix_threads
    resources:
        mem_mb=memory(evaluate_zoo_work),
        runtime=minutes(evaluate_zoo_work),
    params:
        settings=evaluate_zoo_settings,
        code=fingerprint("dwf_steps.evaluate_zoo"),
    shell:
        "python -m dwf_steps.evaluate_zoo --settings {params.settings:q} --threads {threads} --outputs {input.outputs}"
        " --weights {input.weights} --gram {input.gram} --output {output.metrics}"
        " --ensembles {output.ensembles} > {log} 2>&1"


rule evaluate:
    input:
        networks=generated_shards("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}"),
        manifests=generated_shards("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}.json"),
        outputs=generated_shards(
            "results/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/outputs/shard-{shard}.npz"
        ),
        weights="results/{zoo}/{canon}/weights.zarr",
        gram=gram_parts,
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
        zoo_outputs=zoo_outputs,
        zoo_metrics="results/{zoo}/{canon}/zoo_metrics/{recalibration}/metrics.csv",
        data="results/{zoo}/data.npz",
    output:
        expand(
            "results/{{zoo}}/{{canon}}/{{subspace}}/{{generator}}/{{recalibration}}/{name}",
            name=["metrics.csv", "sets.csv", "ensembles.csv", "items.npz"],
        ),
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/evaluate.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/evaluate.tsv"
    conda:
        "../envs/environment.yaml"
    threads: matrix_threads
    resources:
        mem_mb=memory(evaluate_work),
        runtime=minutes(evaluate_work),
    params:
        settings=evaluate_settings,
        destination=subpath(output[0], parent=True),
        code=fingerprint("dwf_steps.evaluate"),
    shell:
        "python -m dwf_steps.evaluate --settings {params.settings:q} --threads {threads} --data {input.data}"
        " --networks {input.manifests} --outputs {input.outputs} --weights {input.weights}"
        " --gram {input.gram} --basis {input.basis} --zoo-outputs {input.zoo_outputs}"
        " --zoo-metrics {input.zoo_metrics} --destination {params.destination} > {log} 2>&1"
