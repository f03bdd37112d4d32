"""Data sets that no dependency ships."""


include: "data_inputs.smk"


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
        data_dir=str(CONFIG.data_dir),
    params:
        dataset="{dataset}",
        code=fingerprint("dwf_steps.fetch_data"),
    shell:
        "python -m dwf_steps.fetch_data {params.dataset} --data-dir={resources.data_dir:q} --output {output}"
        " > {log} 2>&1"


rule prepare_images:
    input:
        own_inputs,
    output:
        directory("results/data/{dataset}"),
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(IMAGES),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(prepare_images_work),
        runtime=minutes(prepare_images_work),
    params:
        settings=image_settings,
        stamps=own_stamps,
        code=fingerprint("dwf_steps.prepare_images"),
    shell:
        "python -m dwf_steps.prepare_images --settings {params.settings:q} --output {output} > {log} 2>&1"


rule prepare_texts:
    input:
        own_inputs,
    output:
        directory("results/data/{dataset}"),
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(TEXTS),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(prepare_texts_work),
        runtime=minutes(prepare_texts_work),
    params:
        settings=text_settings,
        stamps=own_stamps,
        code=fingerprint("dwf_steps.prepare_texts"),
    shell:
        "python -m dwf_steps.prepare_texts --settings {params.settings:q} --output {output} > {log} 2>&1"


rule divide_data:
    input:
        data=zoo_data,
        table=own_inputs,
    output:
        "results/{zoo}/data.npz",
    log:
        "results/logs/{zoo}/divide_data.log",
    cache: SHARED
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(divide_data_work),
        runtime=minutes(divide_data_work),
    params:
        settings=data_settings,
        stamps=own_stamps,
        code=fingerprint("dwf_steps.divide_data"),
    shell:
        "python -m dwf_steps.divide_data --settings {params.settings:q} --data-dir {input.data} --output {output}"
        " > {log} 2>&1"


rule datasets:
    input:
        data_sets_of(dict.fromkeys(cell.zoo for cell in CELLS)),
