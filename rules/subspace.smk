"""The weight matrix, its Gram matrix, and the subspaces found from it."""


rule stack_weights:
    input:
        networks=shard_paths("results/{zoo}/{canon}/aligned/shard-{shard}"),
        manifests=shard_paths("results/{zoo}/{canon}/aligned/shard-{shard}.json"),
    output:
        directory("results/{zoo}/{canon}/weights.zarr"),
    log:
        "results/logs/{zoo}/{canon}/stack_weights.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/stack_weights.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(stack_weights_work),
        runtime=minutes(stack_weights_work),
    params:
        settings=stack_settings,
        code=fingerprint("dwf_steps.stack_weights"),
    shell:
        "python -m dwf_steps.stack_weights --settings {params.settings:q} --manifests {input.manifests}"
        " --output {output} > {log} 2>&1"


rule accumulate_gram:
    input:
        "results/{zoo}/{canon}/weights.zarr",
    output:
        "results/{zoo}/{canon}/gram/part-{part}.npz",
    log:
        "results/logs/{zoo}/{canon}/accumulate_gram-{part}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/accumulate_gram-{part}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: matrix_threads
    resources:
        mem_mb=memory(accumulate_gram_work),
        runtime=minutes(accumulate_gram_work),
    params:
        settings=gram_settings,
        code=fingerprint("dwf_steps.accumulate_gram"),
    shell:
        "python -m dwf_steps.accumulate_gram --settings {params.settings:q} --threads {threads}"
        " --weights {input} --output {output} > {log} 2>&1"


rule solve_basis:
    input:
        gram=gram_parts,
        weights="results/{zoo}/{canon}/weights.zarr",
    output:
        "results/{zoo}/{canon}/{subspace}/basis.npz",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/solve_basis.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/solve_basis.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(solve_basis_work),
        runtime=minutes(solve_basis_work),
    params:
        settings=subspace_settings,
        code=fingerprint("dwf_steps.solve_basis"),
    shell:
        "python -m dwf_steps.solve_basis --settings {params.settings:q} --gram {input.gram}"
        " --weights {input.weights} --output {output} > {log} 2>&1"
