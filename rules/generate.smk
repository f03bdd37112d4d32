"""Generators: fitted where they have a model, sampled, and decoded; or whole networks are made."""

from dwf_steps.pipeline.settings.generate import AssessAutoencoder, Decode, FitGenerator
from dwf_steps.pipeline.settings.generate import MakeNetworks, SampleGenerator

cost_matched_benchmarks = PATHS.zoo_costs
cost_matched_zoo = PATHS.matched_zoo
made_in_joint_zoo = PATHS.made_in_joint_zoo
fit_generator = RUN.step(FitGenerator)
assess_autoencoder = RUN.step(AssessAutoencoder)
sample_generator = RUN.step(SampleGenerator)
make_networks = RUN.step(MakeNetworks)
decode = RUN.step(Decode)


rule fit_generator:
    input:
        basis="results/{zoo}/{canon}/{representation}/{subspace}/basis.npz",
        weights="results/{zoo}/{canon}/{representation}.zarr",
        data=PATHS.data_if_fitting_encodes,
        responses=PATHS.basis_if_fitting_encodes,
    output:
        model="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/model.safetensors",
        losses="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/training.csv",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/fit_generator.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/{subspace}/{generator}/fit_generator.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.fitted_by.values()),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=fit_generator.mem_mb,
        runtime=fit_generator.runtime,
        gpu=fit_generator.gpu,
    params:
        settings=fit_generator.settings,
        code=fit_generator.fit_code,
    shell:
        "python -m dwf_steps.fit_generator --settings {params.settings:q} --code {params.code}"
        " --basis {input.basis} --weights {input.weights} --data {input.data} --responses {input.responses}"
        " --output {output.model} --losses {output.losses}"
        " --key generators.{wildcards.generator} > {log} 2>&1"


rule assess_autoencoder:
    input:
        model="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/model.safetensors",
        basis="results/{zoo}/{canon}/{representation}/{subspace}/basis.npz",
        matrix="results/{zoo}/{canon}/{representation}.zarr",
        weights="results/{zoo}/{canon}/weights.zarr",
        data="results/{zoo}/data.npz",
        responses=PATHS.response_basis,
    output:
        "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/reconstruction.csv",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/assess_autoencoder.log",
    wildcard_constraints:
        generator=one_of(EXPERIMENT.autoencoders),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=assess_autoencoder.mem_mb,
        runtime=assess_autoencoder.runtime,
        gpu=assess_autoencoder.gpu,
    params:
        settings=assess_autoencoder.settings,
        code=assess_autoencoder.fit_code,
    shell:
        "python -m dwf_steps.assess_autoencoder --settings {params.settings:q} --model {input.model}"
        " --basis {input.basis} --matrix {input.matrix} --weights {input.weights} --data {input.data}"
        " --responses {input.responses} --output {output} --key generators.{wildcards.generator} > {log} 2>&1"


rule sample_generator:
    input:
        model=PATHS.model,
        reconstruction=PATHS.reconstruction,
        basis="results/{zoo}/{canon}/{representation}/{subspace}/basis.npz",
        weights=PATHS.weights_if_read,
        data=PATHS.data_if_read,
        responses=PATHS.basis_if_encoding,
    output:
        "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/latents.npz",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/sample_generator.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/{subspace}/{generator}/sample_generator.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.sampled),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=sample_generator.mem_mb,
        runtime=sample_generator.runtime,
        gpu=sample_generator.gpu,
    params:
        settings=sample_generator.settings,
        code=sample_generator.sampling_code,
    shell:
        "python -m dwf_steps.sample_generator --settings {params.settings:q} --model {input.model}"
        " --basis {input.basis} --weights {input.weights} --data {input.data} --responses {input.responses} --output {output}"
        " --key generators.{wildcards.generator} > {log} 2>&1"


rule make_networks:
    input:
        data=PATHS.data_if_read,
        weights=PATHS.zoo_weights_if_read,
        generating=PATHS.generator_costs,
        training=cost_matched_benchmarks,
        zoo=cost_matched_zoo,
        files=PATHS.made_files,
        reference=PATHS.reference_if_canonicalizing,
        barycentre=PATHS.barycentre_if_canonicalizing,
        made=made_in_joint_zoo,
    output:
        networks=directory(
            "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/networks/shard-{shard}"
        ),
        manifest="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/make_networks-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/{subspace}/{generator}/make_networks-{shard}.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.made),
    conda:
        "../envs/environment.yaml"
    threads: make_networks.threads
    resources:
        mem_mb=make_networks.mem_mb,
        runtime=make_networks.runtime,
        gpu=make_networks.gpu,
    params:
        settings=make_networks.settings,
        training=cost_matched_benchmarks.argument,
        zoo=cost_matched_zoo.argument,
        made=made_in_joint_zoo.argument,
        stamps=PATHS.made_stamps,
        code=make_networks.sampling_code,
    shell:
        "python -m dwf_steps.make_networks --settings {params.settings:q} --code {params.code}"
        " --data {input.data} --weights {input.weights} --generating {input.generating}"
        " --training {params.training:q} --zoo {params.zoo:q}"
        " --reference {input.reference} --barycentre {input.barycentre} --made {params.made:q}"
        " --output {output.networks} --manifest {output.manifest} > {log} 2>&1"


rule decode:
    input:
        samples="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/latents.npz",
        weights="results/{zoo}/{canon}/{representation}.zarr",
    output:
        networks=directory(
            "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/networks/shard-{shard}"
        ),
        manifest="results/{zoo}/{canon}/{representation}/{subspace}/{generator}/networks/shard-{shard}.json",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/decode-{shard}.log",
    benchmark:
        "results/benchmarks/{zoo}/{canon}/{representation}/{subspace}/{generator}/decode-{shard}.tsv"
    wildcard_constraints:
        generator=one_of(EXPERIMENT.sampled),
        representation="weights",
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
