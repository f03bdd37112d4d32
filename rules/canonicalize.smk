"""Canonicalization: one shard a job, all aligned to the same reference."""


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


rule canonicalize:
    input:
        networks="results/{zoo}/zoo/shard-{shard}",
        manifest="results/{zoo}/zoo/shard-{shard}.json",
        reference="results/{zoo}/{canon}/reference",
        reference_manifest="results/{zoo}/{canon}/reference.json",
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
        " --reference {input.reference_manifest} --data {input.data} --output {output.networks}"
        " --manifest {output.manifest} --table {output.table} > {log} 2>&1"


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
    shell:
        "awk 'NR == 1 || FNR > 1' {input} > {output} 2> {log}"
