"""What networks say about the test set: the zoo's, and generated ones."""

from dwf_steps.pipeline.settings.score import Score, ScoreZoo

score_zoo = RUN.step(ScoreZoo)
score = RUN.step(Score)


rule score_zoo:
    input:
        networks="results/{zoo}/zoo/shard-{shard}",
        manifest="results/{zoo}/zoo/shard-{shard}.json",
        data="results/{zoo}/data.npz",
        other=PATHS.shifted_data,
    output:
        "results/{zoo}/outputs/shard-{shard}.npz",
    log:
        "results/logs/{zoo}/score_zoo-{shard}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=score_zoo.mem_mb,
        runtime=score_zoo.runtime,
        gpu=score_zoo.gpu,
    params:
        settings=score_zoo.settings,
        code=score_zoo.code,
    shell:
        "python -m dwf_steps.score_zoo --settings {params.settings:q} --data {input.data}"
        " --other-data {input.other} --networks {input.manifest} --output {output} > {log} 2>&1"


rule score:
    input:
        networks=PATHS.recalibrated_networks,
        manifest=PATHS.recalibrated_manifest,
        data="results/{zoo}/data.npz",
        other=PATHS.shifted_data,
    output:
        "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/outputs/shard-{shard}.npz",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/score-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/score-{shard}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=score.mem_mb,
        runtime=score.runtime,
        gpu=score.gpu,
    params:
        settings=score.settings,
        code=score.code,
    shell:
        "python -m dwf_steps.score --settings {params.settings:q} --data {input.data}"
        " --other-data {input.other} --networks {input.manifest} --output {output} > {log} 2>&1"
