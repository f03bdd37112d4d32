"""Generators: flows are trained and integrated, controls are drawn; all are decoded alike."""

from dwf_steps.pipeline.paths import filled
from dwf_steps.pipeline.settings.generate import Decode, SampleControl, SampleFlow, TrainControl, TrainFlow

zoo_costs = PATHS.zoo_costs
matched_zoo = PATHS.matched_zoo
train_flow = RUN.step(TrainFlow)
sample_flow = RUN.step(SampleFlow)
sample_control = RUN.step(SampleControl)
train_control = RUN.step(TrainControl)
decode = RUN.step(Decode)


rule train_flow:
    input:
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
    output:
        model="results/{zoo}/{canon}/{subspace}/{generator}/model.safetensors",
        losses="results/{zoo}/{canon}/{subspace}/{generator}/training.csv",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/train_flow.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/train_flow.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.fitted_by.values()),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=train_flow.mem_mb,
        runtime=train_flow.runtime,
        gpu=train_flow.gpu,
    params:
        settings=train_flow.settings,
        code=train_flow.code,
    shell:
        "python -m dwf_steps.train_flow --settings {params.settings:q} --code {params.code}"
        " --basis {input.basis} --weights {input.weights} --output {output.model} --losses {output.losses}"
        " > {log} 2>&1"


rule sample_flow:
    input:
        model=PATHS.model,
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
        weights=PATHS.if_guided(filled("results/{zoo}/{canon}/weights.zarr")),
        data=PATHS.if_guided(PATHS.steering_data),
    output:
        "results/{zoo}/{canon}/{subspace}/{generator}/latents.npz",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/sample.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/sample.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.flows),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=sample_flow.mem_mb,
        runtime=sample_flow.runtime,
        gpu=sample_flow.gpu,
    params:
        settings=sample_flow.settings,
        code=sample_flow.code,
    shell:
        "python -m dwf_steps.sample_flow --settings {params.settings:q} --model {input.model}"
        " --basis {input.basis} --weights {input.weights} --data {input.data} --output {output} > {log} 2>&1"


rule sample_control:
    input:
        basis="results/{zoo}/{canon}/{subspace}/basis.npz",
    output:
        "results/{zoo}/{canon}/{subspace}/{generator}/latents.npz",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/sample.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/sample.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.drawn_controls),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=sample_control.mem_mb,
        runtime=sample_control.runtime,
    params:
        settings=sample_control.settings,
        code=sample_control.code,
    shell:
        "python -m dwf_steps.sample_control --settings {params.settings:q} --basis {input.basis}"
        " --output {output} > {log} 2>&1"


rule train_control:
    input:
        data="results/{zoo}/data.npz",
        generating=PATHS.generator_costs,
        training=zoo_costs,
        zoo=matched_zoo,
    output:
        networks=directory("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}"),
        manifest="results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/train_control-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/train_control-{shard}.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.trained_controls),
    conda:
        "../envs/environment.yaml"
    threads: train_control.threads
    resources:
        mem_mb=train_control.mem_mb,
        runtime=train_control.runtime,
        gpu=train_control.gpu,
    params:
        settings=train_control.settings,
        training=zoo_costs.argument,
        zoo=matched_zoo.argument,
        code=train_control.code,
    shell:
        "python -m dwf_steps.train_control --settings {params.settings:q} --code {params.code}"
        " --data {input.data} --generating {input.generating} --training {params.training:q} --zoo {params.zoo:q}"
        " --output {output.networks} --manifest {output.manifest} > {log} 2>&1"


rule decode:
    input:
        samples="results/{zoo}/{canon}/{subspace}/{generator}/latents.npz",
        weights="results/{zoo}/{canon}/weights.zarr",
    output:
        networks=directory("results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}"),
        manifest="results/{zoo}/{canon}/{subspace}/{generator}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/decode-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/decode-{shard}.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.sampled),
    conda:
        "../envs/environment.yaml"
    threads: decode.threads
    resources:
        mem_mb=decode.mem_mb,
        runtime=decode.runtime,
    params:
        settings=decode.settings,
        code=decode.code,
    shell:
        "python -m dwf_steps.decode --settings {params.settings:q} --threads {threads}"
        " --samples {input.samples} --weights {input.weights} --output {output.networks}"
        " --manifest {output.manifest} > {log} 2>&1"
