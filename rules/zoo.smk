"""Zoos: networks trained here, or brought along."""

from dwf_steps.pipeline.settings.zoo import ImportZoo, TrainZoo

train_zoo = RUN.step(TrainZoo)
import_zoo = RUN.step(ImportZoo)


rule train_zoo:
    input:
        data="results/{zoo}/data.npz",
    output:
        networks=directory("results/{zoo}/zoo/shard-{shard}"),
        manifest="results/{zoo}/zoo/shard-{shard}.json",
        # Measured by the step: a result from the cache brings along what it took.
        measured="results/benchmarks/{zoo}/train_zoo-{shard}.tsv",
    log:
        "results/logs/{zoo}/train_zoo-{shard}.log",
    wildcard_constraints:
        zoo=one_of(EXPERIMENT.trained_zoos),
    cache: SHARED
    conda:
        "../envs/environment.yaml"
    threads: train_zoo.threads
    resources:
        mem_mb=train_zoo.mem_mb,
        runtime=train_zoo.runtime,
        gpu=train_zoo.gpu,
    params:
        settings=train_zoo.settings,
        code=train_zoo.code,
    shell:
        "python -m dwf_steps.train_zoo --settings {params.settings:q} --code {params.code}"
        " --data {input.data}"
        " --output {output.networks} --manifest {output.manifest}"
        " --measured {output.measured} > {log} 2>&1"


rule import_zoo:
    input:
        files=PATHS.imported_files,
        data="results/{zoo}/data.npz",
    output:
        networks=directory("results/{zoo}/zoo/shard-{shard}"),
        manifest="results/{zoo}/zoo/shard-{shard}.json",
    log:
        "results/logs/{zoo}/import_zoo-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/import_zoo-{shard}.tsv"
    wildcard_constraints:
        zoo=one_of(EXPERIMENT.imported_zoos),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=import_zoo.mem_mb,
        runtime=import_zoo.runtime,
    params:
        settings=import_zoo.settings,
        stamps=PATHS.imported_stamps,
        code=import_zoo.code,
    shell:
        "python -m dwf_steps.import_zoo --settings {params.settings:q} --data {input.data}"
        " --output {output.networks} --manifest {output.manifest}"
        " > {log} 2>&1"
