"""What networks are trained and scored on. Data sets inside scikit-learn are no files."""


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
