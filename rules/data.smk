"""Data sets that no dependency ships."""

from dwf_steps.config.dataset import FETCHED
from dwf_steps.pipeline.settings.data import DivideData, JoinData, PrepareImages, PrepareTexts

prepare_images = RUN.step(PrepareImages)
prepare_texts = RUN.step(PrepareTexts)
divide_data = RUN.step(DivideData)
join_data = RUN.step(JoinData)


# Fetched once for every zoo that asks for it, and where Snakemake runs: compute nodes may have no internet.
# Where the data lie is a resource, because a changed parameter would fetch them anew and miss the cache.
rule fetch_data:
    output:
        directory("results/data/{dataset}"),
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(FETCHED),
    cache: SHARED
    localrule: True
    conda:
        "../envs/environment.yaml"
    resources:
        data_dir=str(EXPERIMENT.config.data_dir),
    params:
        dataset="{dataset}",
        code=RUN.code("fetch_data"),
    shell:
        "python -m dwf_steps.fetch_data {params.dataset} --data-dir={resources.data_dir:q} --output {output}"
        " > {log} 2>&1"


rule prepare_images:
    input:
        PATHS.own_files,
    output:
        directory("results/data/{dataset}"),
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(PATHS.images),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=prepare_images.mem_mb,
        runtime=prepare_images.runtime,
    params:
        settings=prepare_images.settings,
        stamps=PATHS.own_stamps,
        code=prepare_images.code,
    shell:
        "python -m dwf_steps.prepare_images --settings {params.settings:q} --output {output} > {log} 2>&1"


rule prepare_texts:
    input:
        PATHS.own_files,
    output:
        directory("results/data/{dataset}"),
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(PATHS.texts),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=prepare_texts.mem_mb,
        runtime=prepare_texts.runtime,
    params:
        settings=prepare_texts.settings,
        stamps=PATHS.own_stamps,
        code=prepare_texts.code,
    shell:
        "python -m dwf_steps.prepare_texts --settings {params.settings:q} --output {output} > {log} 2>&1"


rule divide_data:
    input:
        data=PATHS.zoo_data,
        table=PATHS.own_files,
    output:
        "results/{zoo}/data.npz",
    log:
        "results/logs/{zoo}/divide_data.log",
    wildcard_constraints:
        zoo=one_of(EXPERIMENT.single_zoos),
    cache: SHARED
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=divide_data.mem_mb,
        runtime=divide_data.runtime,
    params:
        settings=divide_data.settings,
        stamps=PATHS.own_stamps,
        code=divide_data.code,
    shell:
        "python -m dwf_steps.divide_data --settings {params.settings:q} --data-dir {input.data} --output {output}"
        " > {log} 2>&1"


rule join_data:
    input:
        PATHS.member_data,
    output:
        "results/{zoo}/data.npz",
    log:
        "results/logs/{zoo}/join_data.log",
    wildcard_constraints:
        zoo=one_of(EXPERIMENT.joint_zoos),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=join_data.mem_mb,
        runtime=join_data.runtime,
    params:
        settings=join_data.settings,
        code=join_data.code,
    shell:
        "python -m dwf_steps.join_data --settings {params.settings:q} --members {input} --output {output}"
        " > {log} 2>&1"


rule datasets:
    input:
        PATHS.datasets,
