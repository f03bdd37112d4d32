"""Canonicalization: one shard a job, all aligned to the same reference, or to the same mean."""

from dwf_steps.pipeline.settings.canonicalize import Canonicalize, ChooseReference, FindBarycentre

reference_shards = PATHS.reference_shards
zoo_shards = PATHS.zoo_shards("results/{zoo}/zoo/shard-*.json")
aligned_tables = PATHS.zoo_shards("results/{zoo}/{canon}/aligned/shard-*.csv")
choose_reference = RUN.step(ChooseReference)
find_barycentre = RUN.step(FindBarycentre)
canonicalize = RUN.step(Canonicalize)


rule choose_reference:
    input:
        manifests=reference_shards,
    output:
        network=directory("results/{zoo}/{canon}/reference"),
        manifest="results/{zoo}/{canon}/reference.json",
    log:
        "results/logs/{zoo}/{canon}/choose_reference.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=choose_reference.mem_mb,
        runtime=choose_reference.runtime,
    params:
        settings=choose_reference.settings,
        manifests=reference_shards.argument,
        code=choose_reference.code,
    shell:
        "python -m dwf_steps.choose_reference --settings {params.settings:q} --manifests {params.manifests:q}"
        " --output {output.network} --manifest {output.manifest} > {log} 2>&1"


rule find_barycentre:
    input:
        manifests=zoo_shards,
        reference="results/{zoo}/{canon}/reference",
        reference_manifest="results/{zoo}/{canon}/reference.json",
        data="results/{zoo}/data.npz",
    output:
        network=directory("results/{zoo}/{canon}/barycentre"),
        manifest="results/{zoo}/{canon}/barycentre.json",
    log:
        "results/logs/{zoo}/{canon}/find_barycentre.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/find_barycentre.tsv"
    wildcard_constraints:
        canon=one_of(EXPERIMENT.to_barycentre),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=find_barycentre.mem_mb,
        runtime=find_barycentre.runtime,
    params:
        settings=find_barycentre.settings,
        manifests=zoo_shards.argument,
        code=find_barycentre.code,
    shell:
        "python -m dwf_steps.find_barycentre --settings {params.settings:q} --manifests {params.manifests:q}"
        " --reference {input.reference_manifest} --data {input.data} --output {output.network}"
        " --manifest {output.manifest} > {log} 2>&1"


rule canonicalize:
    input:
        networks="results/{zoo}/zoo/shard-{shard}",
        manifest="results/{zoo}/zoo/shard-{shard}.json",
        reference="results/{zoo}/{canon}/reference",
        reference_manifest="results/{zoo}/{canon}/reference.json",
        barycentre=PATHS.barycentre,
        data="results/{zoo}/data.npz",
    output:
        networks=RUN.intermediate(directory("results/{zoo}/{canon}/aligned/shard-{shard}")),
        manifest="results/{zoo}/{canon}/aligned/shard-{shard}.json",
        table="results/{zoo}/{canon}/aligned/shard-{shard}.csv",
    log:
        "results/logs/{zoo}/{canon}/canonicalize-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/canonicalize-{shard}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=canonicalize.mem_mb,
        runtime=canonicalize.runtime,
        gpu=canonicalize.gpu,
    params:
        settings=canonicalize.settings,
        code=canonicalize.code,
    shell:
        "python -m dwf_steps.canonicalize --settings {params.settings:q} --source {input.manifest}"
        " --reference {input.reference_manifest} --barycentre {input.barycentre} --data {input.data}"
        " --output {output.networks} --manifest {output.manifest} --table {output.table} > {log} 2>&1"


rule gather_alignment:
    input:
        aligned_tables,
    output:
        "results/{zoo}/{canon}/alignment.csv",
    log:
        "results/logs/{zoo}/{canon}/gather_alignment.log",
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        tables=aligned_tables.argument,
        code=RUN.code("gather_alignment"),
    shell:
        "python -m dwf_steps.gather_alignment --tables {params.tables:q} --output {output} > {log} 2>&1"
