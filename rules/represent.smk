"""Response coordinates: a basis of what training networks respond to probes, and all networks in it."""

from dwf_steps.pipeline.settings.represent import AssessRepresentation, DecodeResponses, EncodeResponses
from dwf_steps.pipeline.settings.represent import SketchResponses, SolveResponses, StackResponses

sketch_parts = PATHS.representation_parts("sketch/part-*.npz")
encoded_rows = PATHS.representation_parts("encoded/part-*.npy")
encoded_manifests = PATHS.representation_parts("encoded/part-*.json")
sketch_responses = RUN.step(SketchResponses)
solve_responses = RUN.step(SolveResponses)
encode_responses = RUN.step(EncodeResponses)
stack_responses = RUN.step(StackResponses)
decode_responses = RUN.step(DecodeResponses)
assess_representation = RUN.step(AssessRepresentation)


rule sketch_responses:
    input:
        weights="results/{zoo}/{canon}/weights.zarr",
        data="results/{zoo}/data.npz",
    output:
        "results/{zoo}/{canon}/{representation}/sketch/part-{part}.npz",
    log:
        "results/logs/{zoo}/{canon}/{representation}/sketch_responses-{part}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/sketch_responses-{part}.tsv"
    wildcard_constraints:
        representation=one_of(EXPERIMENT.encoded),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=sketch_responses.mem_mb,
        runtime=sketch_responses.runtime,
        gpu=sketch_responses.gpu,
    params:
        settings=sketch_responses.settings,
        code=sketch_responses.code,
    shell:
        "python -m dwf_steps.sketch_responses --settings {params.settings:q} --weights {input.weights}"
        " --data {input.data} --output {output} > {log} 2>&1"


rule solve_responses:
    input:
        sketch=sketch_parts,
        weights="results/{zoo}/{canon}/weights.zarr",
        data="results/{zoo}/data.npz",
    output:
        "results/{zoo}/{canon}/{representation}/responses.npz",
    log:
        "results/logs/{zoo}/{canon}/{representation}/solve_responses.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/solve_responses.tsv"
    wildcard_constraints:
        representation=one_of(EXPERIMENT.encoded),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=solve_responses.mem_mb,
        runtime=solve_responses.runtime,
    params:
        settings=solve_responses.settings,
        sketch=sketch_parts.argument,
        code=solve_responses.code,
    shell:
        "python -m dwf_steps.solve_responses --settings {params.settings:q} --sketch {params.sketch:q}"
        " --weights {input.weights} --data {input.data} --output {output} > {log} 2>&1"


rule encode_responses:
    input:
        basis="results/{zoo}/{canon}/{representation}/responses.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
        data="results/{zoo}/data.npz",
    output:
        rows="results/{zoo}/{canon}/{representation}/encoded/part-{part}.npy",
        manifest="results/{zoo}/{canon}/{representation}/encoded/part-{part}.json",
    log:
        "results/logs/{zoo}/{canon}/{representation}/encode_responses-{part}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/encode_responses-{part}.tsv"
    wildcard_constraints:
        representation=one_of(EXPERIMENT.encoded),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=encode_responses.mem_mb,
        runtime=encode_responses.runtime,
        gpu=encode_responses.gpu,
    params:
        settings=encode_responses.settings,
        code=encode_responses.code,
    shell:
        "python -m dwf_steps.encode_responses --settings {params.settings:q} --basis {input.basis}"
        " --weights {input.weights} --data {input.data} --output {output.rows} --manifest {output.manifest}"
        " > {log} 2>&1"


rule stack_responses:
    input:
        rows=encoded_rows,
        manifests=encoded_manifests,
        basis="results/{zoo}/{canon}/{representation}/responses.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
    output:
        matrix=directory("results/{zoo}/{canon}/{representation}.zarr"),
        shares="results/{zoo}/{canon}/{representation}/shares.csv",
    log:
        "results/logs/{zoo}/{canon}/{representation}/stack_responses.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/stack_responses.tsv"
    wildcard_constraints:
        representation=one_of(EXPERIMENT.encoded),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=stack_responses.mem_mb,
        runtime=stack_responses.runtime,
    params:
        settings=stack_responses.settings,
        manifests=encoded_manifests.argument,
        code=stack_responses.code,
    shell:
        "python -m dwf_steps.stack_responses --settings {params.settings:q} --manifests {params.manifests:q}"
        " --basis {input.basis} --weights {input.weights} --output {output.matrix} --shares {output.shares}"
        " > {log} 2>&1"


rule decode_responses:
    input:
        samples="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/latents.npz",
        matrix="results/{zoo}/{canon}/{representation}.zarr",
        basis="results/{zoo}/{canon}/{representation}/responses.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
        data="results/{zoo}/data.npz",
    output:
        networks=directory(
            "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/networks/shard-{shard}"
        ),
        manifest="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/decode_responses-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/{subspace}/{generator}/decode-{shard}.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.sampled),
        representation=one_of(EXPERIMENT.encoded),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=decode_responses.mem_mb,
        runtime=decode_responses.runtime,
        gpu=decode_responses.gpu,
    params:
        settings=decode_responses.settings,
        code=decode_responses.code,
    shell:
        "python -m dwf_steps.decode_responses --settings {params.settings:q} --samples {input.samples}"
        " --matrix {input.matrix} --basis {input.basis} --weights {input.weights} --data {input.data}"
        " --output {output.networks} --manifest {output.manifest} > {log} 2>&1"


rule assess_representation:
    input:
        matrix="results/{zoo}/{canon}/{representation}.zarr",
        basis="results/{zoo}/{canon}/{representation}/responses.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
        data="results/{zoo}/data.npz",
    output:
        "results/{zoo}/{canon}/{representation}/exactness.csv",
    log:
        "results/logs/{zoo}/{canon}/{representation}/assess_representation.log",
    wildcard_constraints:
        representation=one_of(EXPERIMENT.encoded),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=assess_representation.mem_mb,
        runtime=assess_representation.runtime,
        gpu=assess_representation.gpu,
    params:
        settings=assess_representation.settings,
        code=assess_representation.code,
    shell:
        "python -m dwf_steps.assess_representation --settings {params.settings:q} --matrix {input.matrix}"
        " --basis {input.basis} --weights {input.weights} --data {input.data} --output {output} > {log} 2>&1"
