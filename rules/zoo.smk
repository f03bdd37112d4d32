"""Zoos: networks trained here, or brought along."""


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
        zoo=one_of(TRAINED),
    cache: SHARED
    conda:
        "../envs/environment.yaml"
    threads: zoo_threads
    resources:
        mem_mb=memory(train_zoo_work, accelerated=True),
        runtime=minutes(train_zoo_work, accelerated=True),
        gpu=gpus(train_zoo_work),
    params:
        settings=train_zoo_settings,
        code=fingerprint("dwf_steps.train_zoo"),
    shell:
        "python -m dwf_steps.train_zoo --settings {params.settings:q} --code {params.code}"
        " --data {input.data}"
        " --output {output.networks} --manifest {output.manifest}"
        " --measured {output.measured} > {log} 2>&1"


rule import_zoo:
    input:
        files=imported_inputs,
        data="results/{zoo}/data.npz",
    output:
        networks=directory("results/{zoo}/zoo/shard-{shard}"),
        manifest="results/{zoo}/zoo/shard-{shard}.json",
    log:
        "results/logs/{zoo}/import_zoo-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/import_zoo-{shard}.tsv"
    wildcard_constraints:
        zoo=one_of(IMPORTED),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(import_zoo_work),
        runtime=minutes(import_zoo_work),
    params:
        settings=import_zoo_settings,
        files=imported_arguments,
        stamps=imported_stamps,
        code=fingerprint("dwf_steps.import_zoo"),
    shell:
        "python -m dwf_steps.import_zoo --settings {params.settings:q} --files {params.files:q}"
        " --data {input.data}"
        " --output {output.networks} --manifest {output.manifest}"
        " > {log} 2>&1"
