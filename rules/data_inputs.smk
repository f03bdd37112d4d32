"""What networks are trained and scored on. Data sets inside scikit-learn are no files."""


def zoo_data(wildcards):
    """The folder of a data set that is fetched or decoded; fetched ones hold the same whenever they were
    written."""
    return folder_of(zoo_of(wildcards).dataset)


def transfer_data(wildcards):
    return folder_of(CONFIG.transfers[wildcards.transfer].dataset)


def folder_of(dataset):
    """Where a data set lies, if it is fetched or decoded; fetched ones hold the same whenever written."""
    if dataset in CONFIG.datasets:
        return f"results/data/{dataset}"
    return ancient(f"results/data/{dataset}") if dataset in FETCHED else []


TEXTS = [name for name, files in CONFIG.datasets.items() if isinstance(files, TextFiles)]
IMAGES = [name for name in CONFIG.datasets if name not in TEXTS]


def own_files(wildcards):
    """The files of a data set of the user's own, or a zoo's table."""
    if "zoo" in wildcards.keys():
        dataset = zoo_of(wildcards).dataset
        return [dataset.file] if isinstance(dataset, TableFile) else []
    dataset = CONFIG.datasets[wildcards.dataset]
    return [dataset.train, dataset.test, getattr(dataset, "tokenizer", None)]


def own_inputs(wildcards):
    return input_files(own_files(wildcards))


def own_stamps(wildcards):
    return stamps(own_files(wildcards))


def data_sets_of(zoo_names):
    """The folders of all data sets that have to be fetched or decoded for these zoos."""
    zoos = [CONFIG.zoos[name] for name in zoo_names]
    asked = [name for zoo in zoos for name in (zoo.dataset, zoo.out_of_distribution)]
    asked += [CONFIG.transfers[name].dataset for _, name in CONFIG.transferred()]
    made = [*FETCHED, *CONFIG.datasets]
    return [f"results/data/{name}" for name in dict.fromkeys(map(str, asked)) if name in made]


def other_data(wildcards):
    """The folder of the data set that a zoo's networks should find strange, if it is one that is fetched."""
    shift = zoo_of(wildcards).out_of_distribution
    return ancient(f"results/data/{shift}") if shift in FETCHED else []
