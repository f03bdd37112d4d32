"""Data: what networks are trained and scored on. Data sets inside scikit-learn are no files."""


def fetched_data(wildcards):
    """The folder of a data set that is fetched; it holds the same data whenever it was written."""
    dataset = zoo_of(wildcards).dataset
    return ancient(f"results/data/{dataset}") if dataset in FETCHED else []


def data_sets_of(zoo_names):
    """The folders of all data sets that have to be fetched for these zoos."""
    names = dict.fromkeys(name for name in (CONFIG.zoos[zoo].dataset for zoo in zoo_names) if name in FETCHED)
    return [f"results/data/{name}" for name in names]


def own_table(wildcards):
    dataset = zoo_of(wildcards).dataset
    return str(dataset.file) if isinstance(dataset, TableFile) else []


# Fetched once for every zoo that asks for it, and where Snakemake runs: compute nodes may have no internet.
# Where the data lie is a resource, because a changed parameter would fetch them anew and miss the cache.
rule fetch_data:
    output:
        directory("results/data/{dataset}"),
    log:
        "results/logs/data/{dataset}.log",
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
        "python -m dwf_steps.fetch_data {params.dataset} --data-dir {resources.data_dir:q} --output {output}"
        " > {log} 2>&1"
