"""Canonicalization: one shard a job, all aligned to the same reference, or to the same mean."""


rule choose_reference:
    input:
        manifests=reference_manifests,
    output:
        network=directory("results/{zoo}/{canon}/reference"),
        manifest="results/{zoo}/{canon}/reference.json",
    log:
        "results/logs/{zoo}/{canon}/choose_reference.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(choose_reference_work),
        runtime=minutes(choose_reference_work),
    params:
        settings=reference_settings,
        code=fingerprint("dwf_steps.choose_reference"),
    shell:
        "python -m dwf_steps.choose_reference --settings {params.settings:q} --manifests {input.manifests}"
        " --output {output.network} --manifest {output.manifest} > {log} 2>&1"


rule find_barycentre:
    input:
        manifests=shard_paths("results/{zoo}/zoo/shard-{shard}.json"),
        reference="results/{zoo}/{canon}/reference",
        reference_manifest="results/{zoo}/{canon}/reference.json",
    output:
        network=directory("results/{zoo}/{canon}/barycentre"),
        manifest="results/{zoo}/{canon}/barycentre.json",
    log:
        "results/logs/{zoo}/{canon}/find_barycentre.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/find_barycentre.tsv"
    wildcard_constraints:
        canon=one_of(TO_BARYCENTRE),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(find_barycentre_work),
        runtime=minutes(find_barycentre_work),
    params:
        settings=barycentre_settings,
        code=fingerprint("dwf_steps.find_barycentre"),
    shell:
        "python -m dwf_steps.find_barycentre --settings {params.settings:q} --manifests {input.manifests}"
        " --reference {input.reference_manifest} --output {output.network} --manifest {output.manifest}"
        " > {log} 2>&1"


rule canonicalize:
    input:
        networks="results/{zoo}/zoo/shard-{shard}",
        manifest="results/{zoo}/zoo/shard-{shard}.json",
        reference="results/{zoo}/{canon}/reference",
        reference_manifest="results/{zoo}/{canon}/reference.json",
        barycentre=barycentre_manifest,
        data="results/{zoo}/data.npz",
    output:
        networks=intermediate(directory("results/{zoo}/{canon}/aligned/shard-{shard}")),
        manifest="results/{zoo}/{canon}/aligned/shard-{shard}.json",
        table="results/{zoo}/{canon}/aligned/shard-{shard}.csv",
    log:
        "results/logs/{zoo}/{canon}/canonicalize-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/canonicalize-{shard}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(canonicalize_work),
        runtime=minutes(canonicalize_work),
    params:
        settings=canonicalize_settings,
        code=fingerprint("dwf_steps.canonicalize"),
    shell:
        "python -m dwf_steps.canonicalize --settings {params.settings:q} --source {input.manifest}"
        " --reference {input.reference_manifest} --barycentre {input.barycentre} --data {input.data}"
        " --output {output.networks} --manifest {output.manifest} --table {output.table} > {log} 2>&1"


rule gather_alignment:
    input:
        shard_paths("results/{zoo}/{canon}/aligned/shard-{shard}.csv"),
    output:
        "results/{zoo}/{canon}/alignment.csv",
    log:
        "results/logs/{zoo}/{canon}/gather_alignment.log",
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        code=fingerprint("dwf_steps.gather_alignment"),
    shell:
        "python -m dwf_steps.gather_alignment {input} --output {output} > {log} 2>&1"
