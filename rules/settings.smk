"""What each step is told of the configuration, as JSON.

A step's params hold nothing else, so that a changed value reruns its stage and what follows, and nothing
besides.
"""


def as_json(**parts):
    return json.dumps({name: plain(part) for name, part in parts.items()}, sort_keys=True)


def plain(part):
    """A section of the configuration, or a list of them, in JSON's types."""
    if isinstance(part, list):
        return [plain(item) for item in part]
    return part.model_dump(mode="json", by_alias=True) if hasattr(part, "model_dump") else part


def image_settings(wildcards):
    return as_json(images=CONFIG.datasets[wildcards.dataset])


def text_settings(wildcards):
    return as_json(texts=CONFIG.datasets[wildcards.dataset])


def train_zoo_settings(wildcards):
    zoo = zoo_of(wildcards)
    return as_json(
        architecture=architecture_parts(zoo),
        training=zoo.training,
        networks=zoo.shard(int(wildcards.shard)),
        trajectory=zoo.trajectory,
    )


def import_zoo_settings(wildcards):
    zoo = zoo_of(wildcards)
    return as_json(architecture=architecture_parts(zoo), keys=zoo.keys)


def data_settings(wildcards):
    zoo = zoo_of(wildcards)
    return as_json(dataset=CONFIG.dataset(zoo), splits=zoo.splits)


def architecture_parts(zoo):
    """The architecture, with what its code is where that is the user's own."""
    architecture = zoo.architecture
    if architecture.kind == "module":
        return architecture.model_copy(
            update={"code": file_fingerprint(network_facts(architecture).source_file)}
        )
    return architecture


def score_settings(wildcards):
    zoo = zoo_of(wildcards)
    return as_json(architecture=architecture_parts(zoo), out_of_distribution=zoo.out_of_distribution)


def transfer_data_settings(wildcards):
    transfer = CONFIG.transfers[wildcards.transfer]
    return as_json(
        dataset=CONFIG.dataset(transfer),
        splits=transfer.splits,
        size=transfer.size,
        classes=transfer.classes,
    )


def transfer_settings(wildcards):
    transfer = CONFIG.transfers[wildcards.transfer]
    return as_json(architecture=architecture_parts(zoo_of(wildcards)), transfer=transfer)


def export_settings(wildcards):
    return as_json(architecture=zoo_of(wildcards).architecture)


def evaluate_settings(wildcards):
    return as_json(architecture=architecture_parts(zoo_of(wildcards)), evaluation=CONFIG.evaluation)


def evaluate_zoo_settings(wildcards):
    return as_json(architecture=architecture_parts(zoo_of(wildcards)), evaluation=CONFIG.evaluation)


def recalibrate_settings(wildcards):
    return as_json(
        architecture=architecture_parts(zoo_of(wildcards)),
        methods=CONFIG.recalibrations[wildcards.recalibration],
    )


def recalibrate_zoo_settings(wildcards):
    zoo, methods = zoo_of(wildcards), CONFIG.recalibrations[wildcards.recalibration]
    return as_json(
        architecture=architecture_parts(zoo), methods=methods, out_of_distribution=zoo.out_of_distribution
    )


def reference_settings(wildcards):
    """Held-out networks matter to the medoid alone; a reference by name is checked beforehand."""
    name = reference_for(wildcards)
    held_out = held_out_trajectories(zoo_of(wildcards)) if name == "medoid" else []
    return as_json(reference=name, held_out=held_out)


def barycentre_settings(wildcards):
    """Methods that follow the matching to the barycentre play no part in it."""
    zoo = zoo_of(wildcards)
    *before, matching = until_barycentre(CONFIG.canonicalizations[wildcards.canon])
    return as_json(
        architecture=architecture_parts(zoo),
        before=before,
        matching=matching,
        held_out=held_out_trajectories(zoo),
    )


def canonicalize_settings(wildcards):
    return as_json(
        architecture=architecture_parts(zoo_of(wildcards)), methods=CONFIG.canonicalizations[wildcards.canon]
    )


def stack_settings(wildcards):
    """Over how many jobs later passes are divided plays no part in how the matrix is stored."""
    zoo = zoo_of(wildcards)
    matrix = zoo.matrix.model_dump(exclude={"gram_jobs", "decode_jobs"})
    return as_json(held_out=held_out_trajectories(zoo), matrix=matrix)


def gram_settings(wildcards):
    return as_json(part=int(wildcards.part), parts=zoo_of(wildcards).matrix.gram_jobs)


def subspace_settings(wildcards):
    return as_json(subspace=CONFIG.subspaces[wildcards.subspace])


def flow_training_settings(wildcards):
    """The flow without its sampling: drawing more networks does not retrain it."""
    flow = CONFIG.generators[wildcards.generator].model_dump(mode="json")
    return as_json(flow={key: value for key, value in flow.items() if key not in AFTER_FITTING})


def flow_settings(wildcards):
    """The flow as it is sampled, with what the code of its objective is where that is the user's own."""
    flow = CONFIG.generators[wildcards.generator].model_copy(update={"likelihood": None, "other_widths": []})
    guidance = flow.sampling.guidance
    if guidance is not None and guidance.objective is not None:
        key = f"generators.{wildcards.generator}.sampling.guidance.objective"
        objective = find_callable(guidance.objective, key)
        code = file_fingerprint(Path(inspect.getfile(objective)))
        guidance = guidance.model_copy(update={"code": code})
        sampling = flow.sampling.model_copy(update={"guidance": guidance})
        flow = flow.model_copy(update={"sampling": sampling})
    return flow


def sample_flow_settings(wildcards):
    return as_json(flow=flow_settings(wildcards))


def likelihood_settings(wildcards):
    flow = CONFIG.generators[wildcards.generator]
    return as_json(flow=flow.model_copy(update={"sampling": FlowSampling(), "other_widths": []}))


def other_widths_settings(wildcards):
    widths = CONFIG.generators[wildcards.generator].other_sizes[wildcards.widths]
    return as_json(flow=flow_settings(wildcards), widths=widths)


def control_settings(wildcards):
    return as_json(control=CONFIG.generators[wildcards.generator])


def train_control_settings(wildcards):
    """The control, the zoo's training, and which networks this job makes."""
    zoo, control = zoo_of(wildcards), CONFIG.generators[wildcards.generator]
    imported = isinstance(zoo, ImportedZoo)
    parts, samples = n_generated_shards(wildcards), control.sampling.samples
    first, last = (samples * part // parts for part in (int(wildcards.shard), int(wildcards.shard) + 1))
    kinds = [control.initialisation] if control.kind == "random_init" else list(zoo.initialisations)
    settings = {"architecture": architecture_parts(zoo), "control": control, "initialisations": kinds}
    settings |= {"training": None if imported else zoo.training, "first": first, "count": last - first}
    if priced(wildcards):
        settings["priced_samples"] = CONFIG.generators[priced(wildcards)].sampling.samples
        settings["zoo_trainings"] = len(trajectory_names(zoo))
    return as_json(**settings)


def decode_settings(wildcards):
    return as_json(
        part=int(wildcards.shard),
        parts=n_generated_shards(wildcards),
        memory_mb=zoo_of(wildcards).matrix.memory_mb,
    )
