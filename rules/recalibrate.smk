"""Repair of generated networks on training examples, of every generator and control alike."""


rule recalibrate:
    input:
        networks="results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}",
        manifest="results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}.json",
        weights="results/{zoo}/{canon}/weights.zarr",
        data=fetched_data,
        table=own_table,
    output:
        networks=directory(
            "results/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/networks/shard-{shard}"
        ),
        manifest="results/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/recalibrate-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/recalibrate-{shard}.tsv"
    wildcard_constraints:
        recalibration=one_of(REPAIRS),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(recalibrate_work),
        runtime=minutes(recalibrate_work),
    params:
        settings=recalibrate_settings,
        code=fingerprint("dwf_steps.recalibrate"),
    shell:
        "python -m dwf_steps.recalibrate --settings {params.settings:q} --data-dir {input.data}"
        " --networks {input.manifest} --weights {input.weights}"
        " --output {output.networks} --manifest {output.manifest} > {log} 2>&1"
