"""Measures: the zoo's networks among themselves, generated networks against the zoo."""

from dwf_steps.pipeline.paths import CELL, EVALUATED, GENERATOR
from dwf_steps.pipeline.settings.evaluate import Evaluate, EvaluateZoo, FindNeighbours

generated_networks = PATHS.generated_shards(f"{GENERATOR}/networks/shard-*")
generated_manifests = PATHS.generated_shards(f"{GENERATOR}/networks/shard-*.json")
generated_outputs = PATHS.generated_shards(f"{CELL}/outputs/shard-*.npz")
other_gram_parts = PATHS.other_gram_parts
zoo_outputs = PATHS.zoo_outputs
evaluate_zoo = RUN.step(EvaluateZoo)
find_neighbours = RUN.step(FindNeighbours)
evaluate = RUN.step(Evaluate)


rule evaluate_zoo:
    input:
        outputs=zoo_outputs,
        weights="results/{zoo}/{canon}/weights.zarr",
        gram=weights_gram_parts,
    output:
        metrics="results/{zoo}/{canon}/zoo_metrics/{recalibration}/metrics.csv",
        layers="results/{zoo}/{canon}/zoo_metrics/{recalibration}/layers.csv",
        classes="results/{zoo}/{canon}/zoo_metrics/{recalibration}/classes.csv",
        ensembles="results/{zoo}/{canon}/zoo_metrics/{recalibration}/ensembles.csv",
    log:
        "results/logs/{zoo}/{canon}/evaluate_zoo-{recalibration}.log",
    conda:
        "../envs/environment.yaml"
    threads: evaluate_zoo.threads
    resources:
        mem_mb=evaluate_zoo.mem_mb,
        runtime=evaluate_zoo.runtime,
    params:
        settings=evaluate_zoo.settings,
        outputs=zoo_outputs.argument,
        gram=weights_gram_parts.argument,
        code=evaluate_zoo.code,
    shell:
        "python -m dwf_steps.evaluate_zoo --settings {params.settings:q} --threads {threads} --outputs {params.outputs:q}"
        " --weights {input.weights} --gram {params.gram:q} --output {output.metrics}"
        " --layers {output.layers} --classes {output.classes} --ensembles {output.ensembles} > {log} 2>&1"


rule find_neighbours:
    input:
        gram=gram_parts,
        matrix="results/{zoo}/{canon}/{representation}.zarr",
    output:
        "results/{zoo}/{canon}/{representation}/neighbours.npz",
    log:
        "results/logs/{zoo}/{canon}/{representation}/find_neighbours.log",
    wildcard_constraints:
        representation=one_of(EXPERIMENT.encoded),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=find_neighbours.mem_mb,
        runtime=find_neighbours.runtime,
    params:
        settings=find_neighbours.settings,
        gram=gram_parts.argument,
        code=find_neighbours.code,
    shell:
        "python -m dwf_steps.find_neighbours --settings {params.settings:q} --gram {params.gram:q}"
        " --matrix {input.matrix} --output {output} > {log} 2>&1"


rule evaluate:
    input:
        networks=generated_networks,
        manifests=generated_manifests,
        outputs=generated_outputs,
        weights="results/{zoo}/{canon}/weights.zarr",
        gram=weights_gram_parts,
        represented=PATHS.other_coordinates,
        represented_gram=other_gram_parts,
        neighbours=PATHS.neighbours,
        responses=PATHS.response_basis,
        basis="results/{zoo}/{canon}/{representation}/{subspace}/basis.npz",
        zoo_outputs=zoo_outputs,
        zoo_metrics="results/{zoo}/{canon}/zoo_metrics/{recalibration}/metrics.csv",
        data="results/{zoo}/data.npz",
    output:
        [f"{CELL}/{name}" for name in EVALUATED],
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/evaluate.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/evaluate.tsv"
    conda:
        "../envs/environment.yaml"
    threads: evaluate.threads
    resources:
        mem_mb=evaluate.mem_mb,
        runtime=evaluate.runtime,
    params:
        settings=evaluate.settings,
        networks=generated_manifests.argument,
        outputs=generated_outputs.argument,
        gram=weights_gram_parts.argument,
        represented_gram=other_gram_parts.argument,
        zoo_outputs=zoo_outputs.argument,
        destination=subpath(output[0], parent=True),
        code=evaluate.code,
    shell:
        "python -m dwf_steps.evaluate --settings {params.settings:q} --threads {threads} --data {input.data}"
        " --networks {params.networks:q} --outputs {params.outputs:q} --weights {input.weights}"
        " --gram {params.gram:q} --represented {input.represented} --represented-gram {params.represented_gram:q}"
        " --neighbours {input.neighbours} --responses {input.responses} --basis {input.basis}"
        " --zoo-outputs {params.zoo_outputs:q} --zoo-metrics {input.zoo_metrics}"
        " --destination {params.destination} > {log} 2>&1"
