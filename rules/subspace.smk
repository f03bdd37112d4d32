"""The weight matrix, the Gram matrix of each representation, and the subspaces found from it."""

from dwf_steps.pipeline.settings.subspace import AccumulateGram, JoinZoo, SolveBasis, StackWeights

aligned_shards = PATHS.zoo_shards("results/{zoo}/{canon}/aligned/shard-*")
aligned_manifests = PATHS.zoo_shards("results/{zoo}/{canon}/aligned/shard-*.json")
distinct_shards = PATHS.distinct_shards
gram_parts = PATHS.gram_parts
weights_gram_parts = PATHS.weights_gram_parts
stack_weights = RUN.step(StackWeights)
join_zoo = RUN.step(JoinZoo)
accumulate_gram = RUN.step(AccumulateGram)
solve_basis = RUN.step(SolveBasis)


rule stack_weights:
    input:
        networks=aligned_shards,
        manifests=aligned_manifests,
        distinct=distinct_shards,
        zoo=zoo_shards,
    output:
        directory("results/{zoo}/{canon}/weights.zarr"),
    log:
        "results/logs/{zoo}/{canon}/stack_weights.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/stack_weights.tsv"
    wildcard_constraints:
        zoo=one_of(EXPERIMENT.single_zoos),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=stack_weights.mem_mb,
        runtime=stack_weights.runtime,
    params:
        settings=stack_weights.settings,
        manifests=aligned_manifests.argument,
        distinct=distinct_shards.argument,
        zoo=zoo_shards.argument,
        code=stack_weights.code,
    shell:
        "python -m dwf_steps.stack_weights --settings {params.settings:q} --manifests {params.manifests:q}"
        " --distinct {params.distinct:q} --zoo {params.zoo:q} --output {output} > {log} 2>&1"


rule join_zoo:
    input:
        PATHS.member_weights,
    output:
        directory("results/{zoo}/{canon}/weights.zarr"),
    log:
        "results/logs/{zoo}/{canon}/join_zoo.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/join_zoo.tsv"
    wildcard_constraints:
        zoo=one_of(EXPERIMENT.joint_zoos),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=join_zoo.mem_mb,
        runtime=join_zoo.runtime,
    params:
        settings=join_zoo.settings,
        code=join_zoo.code,
    shell:
        "python -m dwf_steps.join_zoo --settings {params.settings:q} --members {input} --output {output}"
        " > {log} 2>&1"


rule accumulate_gram:
    input:
        "results/{zoo}/{canon}/{representation}.zarr",
    output:
        "results/{zoo}/{canon}/{representation}/gram/part-{part}.npz",
    log:
        "results/logs/{zoo}/{canon}/{representation}/accumulate_gram-{part}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/accumulate_gram-{part}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: accumulate_gram.threads
    resources:
        mem_mb=accumulate_gram.mem_mb,
        runtime=accumulate_gram.runtime,
    params:
        settings=accumulate_gram.settings,
        code=accumulate_gram.code,
    shell:
        "python -m dwf_steps.accumulate_gram --settings {params.settings:q} --threads {threads}"
        " --weights {input} --output {output} > {log} 2>&1"


rule solve_basis:
    input:
        gram=gram_parts,
        weights="results/{zoo}/{canon}/{representation}.zarr",
    output:
        "results/{zoo}/{canon}/{representation}/{subspace}/basis.npz",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/solve_basis.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/{subspace}/solve_basis.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=solve_basis.mem_mb,
        runtime=solve_basis.runtime,
    params:
        settings=solve_basis.settings,
        gram=gram_parts.argument,
        code=solve_basis.code,
    shell:
        "python -m dwf_steps.solve_basis --settings {params.settings:q} --gram {params.gram:q}"
        " --weights {input.weights} --output {output} > {log} 2>&1"
