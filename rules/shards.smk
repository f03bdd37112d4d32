"""How networks are divided into jobs, and where they lie."""


def n_shards(zoo_name):
    zoo = CONFIG.zoos[zoo_name]
    return 1 if isinstance(zoo, ImportedZoo) else zoo.n_shards


def n_generated_shards(names):
    """The jobs over which a generator's samples are divided when they are made; of wildcards or a cell.

    Snapshots of one training are made by one job.
    """
    if CONFIG.generators[names.generator].kind == "snapshots":
        return 1
    return min(CONFIG.zoos[names.zoo].matrix.decode_jobs, CONFIG.generators[names.generator].sampling.samples)


def numbered(pattern, count):
    """Return an input function for the paths of a pattern over the first ``count(wildcards)`` shards."""

    def paths(wildcards):
        return [pattern.format(**wildcards, shard=shard) for shard in range(count(wildcards))]

    return paths


def shard_paths(pattern):
    """Return an input function for the paths of a pattern over all shards of the zoo."""
    return numbered(pattern, lambda wildcards: n_shards(wildcards.zoo))


def generated_shards(pattern):
    """Return an input function for the paths of a pattern over all shards of a generator's networks."""
    return numbered(pattern, n_generated_shards)


def requested_networks(pattern, generators=CONFIG.generators, recalibrations=CONFIG.recalibrations):
    """Return the paths of a pattern over all shards of networks that the experiments ask for, each once."""
    return list(
        dict.fromkeys(
            pattern.format(**cell._asdict(), shard=shard)
            for cell in CELLS
            if cell.generator in generators and cell.recalibration in recalibrations
            for shard in range(n_generated_shards(cell))
        )
    )


GENERATOR = "results/{zoo}/{canon}/{subspace}/{generator}"
GENERATED = requested_networks(f"{GENERATOR}/networks/shard-{{shard}}.json")


def recalibrated_folder(wildcards):
    """Where a generator's networks lie after recalibration; one without methods leaves them where they are."""
    folder = GENERATOR.format(**wildcards)
    repaired = CONFIG.recalibrations[wildcards.recalibration]
    return f"{folder}/{wildcards.recalibration}/networks" if repaired else f"{folder}/networks"


def recalibrated_networks(wildcards):
    return f"{recalibrated_folder(wildcards)}/shard-{wildcards.shard}"


def recalibrated_manifest(wildcards):
    return f"{recalibrated_networks(wildcards)}.json"


def all_recalibrated(pattern):
    """Return an input function for the paths of a pattern over all shards of networks after recalibration."""

    def paths(wildcards):
        folder, shards = recalibrated_folder(wildcards), range(n_generated_shards(wildcards))
        return [pattern.format(folder=folder, shard=shard) for shard in shards]

    return paths


def if_guided(path):
    """Return an input function for what only flows that are steered by their networks' loss read: a pattern, or
    another input function."""

    def needed(wildcards):
        if CONFIG.generators[wildcards.generator].sampling.guidance is None:
            return []
        return path(wildcards) if callable(path) else path.format(**wildcards)

    return needed


def steering_data(wildcards):
    """The data whose loss steers a flow, and on which networks of other widths are scored: the zoo's, or those of
    a transfer."""
    guidance = CONFIG.generators[wildcards.generator].sampling.guidance
    if guidance is None or guidance.transfer is None:
        return f"results/{wildcards.zoo}/data.npz"
    return f"results/transfers/{guidance.transfer}/data.npz"


def zoo_outputs(wildcards):
    """What the zoo's networks say, recalibrated like the generated networks that they are compared with."""
    zoo, name = wildcards.zoo, wildcards.recalibration
    if name in REPAIRS:
        return [f"results/{zoo}/{wildcards.canon}/zoo_outputs/{name}.npz"]
    return [f"results/{zoo}/outputs/shard-{shard}.npz" for shard in range(n_shards(zoo))]


def gram_parts(wildcards):
    """The parts of the Gram matrix, one a job."""
    parts = range(zoo_of(wildcards).matrix.gram_jobs)
    return [f"results/{wildcards.zoo}/{wildcards.canon}/gram/part-{part}.npz" for part in parts]


def zoo_manifests_of(zoo_names):
    return [f"results/{zoo}/zoo/shard-{shard}.json" for zoo in zoo_names for shard in range(n_shards(zoo))]


def reference_manifests(wildcards):
    """The shard that holds the reference; all of them where the medoid is sought."""
    zoo, shards = zoo_of(wildcards), range(n_shards(wildcards.zoo))
    reference = reference_for(wildcards)
    if reference != "medoid" and not isinstance(zoo, ImportedZoo):
        shards = [network_names(zoo).index(reference) // (zoo.shard_size * zoo.checkpoints)]
    return [f"results/{wildcards.zoo}/zoo/shard-{shard}.json" for shard in shards]


def barycentre_manifest(wildcards):
    """The mean that networks are aligned to, if they are."""
    if wildcards.canon not in TO_BARYCENTRE:
        return []
    return f"results/{wildcards.zoo}/{wildcards.canon}/barycentre.json"


def imported_inputs(wildcards):
    return input_files(zoo_of(wildcards).paths())


def imported_stamps(wildcards):
    return stamps(zoo_of(wildcards).paths())


def imported_arguments(wildcards):
    return as_arguments(zoo_of(wildcards).paths())
