"""Repair of networks on training examples: of every generator and control alike, and of the zoo."""

from dwf_steps.pipeline.settings.recalibrate import Recalibrate, RecalibrateZoo

recalibrate = RUN.step(Recalibrate)
recalibrate_zoo = RUN.step(RecalibrateZoo)


rule recalibrate:
    input:
        networks="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/networks/shard-{shard}",
        manifest="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/networks/shard-{shard}.json",
        weights="results/{zoo}/{canon}/weights.zarr",
        data="results/{zoo}/data.npz",
    output:
        networks=directory(
            "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/networks/shard-{shard}"
        ),
        manifest="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/recalibrate-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/recalibrate-{shard}.tsv"
    wildcard_constraints:
        recalibration=one_of(EXPERIMENT.recalibrations),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=recalibrate.mem_mb,
        runtime=recalibrate.runtime,
        gpu=recalibrate.gpu,
    params:
        settings=recalibrate.settings,
        code=recalibrate.code,
    shell:
        "python -m dwf_steps.recalibrate --settings {params.settings:q} --data {input.data}"
        " --networks {input.manifest} --weights {input.weights}"
        " --output {output.networks} --manifest {output.manifest} > {log} 2>&1"


# Predictions of the zoo's networks, recalibrated as the generated ones are: these are compared with them.
rule recalibrate_zoo:
    input:
        weights="results/{zoo}/{canon}/weights.zarr",
        data="results/{zoo}/data.npz",
        other=PATHS.shifted_data,
    output:
        "results/{zoo}/{canon}/zoo_outputs/{recalibration}.npz",
    log:
        "results/logs/{zoo}/{canon}/recalibrate_zoo-{recalibration}.log",
    wildcard_constraints:
        recalibration=one_of(EXPERIMENT.recalibrations),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=recalibrate_zoo.mem_mb,
        runtime=recalibrate_zoo.runtime,
        gpu=recalibrate_zoo.gpu,
    params:
        settings=recalibrate_zoo.settings,
        code=recalibrate_zoo.code,
    shell:
        "python -m dwf_steps.recalibrate_zoo --settings {params.settings:q} --data {input.data}"
        " --other-data {input.other} --weights {input.weights} --output {output} > {log} 2>&1"
