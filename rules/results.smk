"""What tables and figures are made of, and how many there are."""

CELL = f"{GENERATOR}/{{recalibration}}"
EXPERIMENT = experiment_record()
TABLE_NAMES, FIGURE_NAMES = registry.names("table", EXPERIMENT), registry.names("figure", EXPERIMENT)
TABLE_MAKERS, FIGURE_MAKERS = (list(map(fingerprint, registry.modules(kind))) for kind in ("table", "figure"))
CAPTIONS = [f"results/captions/{name}.rst" for name in registry.captions(EXPERIMENT)]
TRANSFERRED = [f"{CELL}/transfers/{name}.csv".format(**cell._asdict()) for cell, name in CONFIG.transferred()]
LIKELY = requested(f"{GENERATOR}/likelihood.csv", CONFIG.flows_with("likelihood"))
OTHER_WIDTHS = [
    f"{path}/{size}.json"
    for path in requested(f"{GENERATOR}/other_widths", CONFIG.flows_with("other_widths"))
    for size in CONFIG.generators[Path(path).parts[-2]].other_sizes
]
TABLES = expand("results/tables/{table}.{kind}", table=TABLE_NAMES, kind=["csv", "md", "tex"])
FIGURES = expand("results/figures/{figure}.{kind}", figure=FIGURE_NAMES, kind=["pdf", "png"])

GENERATOR_BENCHMARKS = "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}"
CELL_BENCHMARKS = f"{GENERATOR_BENCHMARKS}/{{recalibration}}"
EVALUATED = [
    path
    for name in ("metrics.csv", "sets.csv", "ensembles.csv", "items.npz")
    for path in requested(f"{CELL}/{name}")
]
PRETRAINED = [
    path
    for path in requested(f"{CELL}/pretrained")
    if CONFIG.zoos[Path(path).parts[1]].architecture.kind == "bert"
]
ZOO_EVALUATED = [
    path
    for name in ("metrics.csv", "ensembles.csv")
    for path in requested(f"results/{{zoo}}/{{canon}}/zoo_metrics/{{recalibration}}/{name}")
]


def reported(folder, name, kind):
    """A table or figure that the report shows, with the caption that `tabulate` writes."""
    return report(
        f"results/{folder}/{name}.{kind}",
        caption=os.path.abspath(f"results/captions/{name}.rst"),
        category=folder.capitalize(),
    )


def zoo_benchmarks(zoo):
    stage = "import_zoo" if zoo in IMPORTED else "train_zoo"
    return [f"results/benchmarks/{zoo}/{stage}-{shard}.tsv" for shard in range(n_shards(zoo))]


def priced(wildcards):
    """The generator whose cost a control equals, if it is such a control."""
    return getattr(CONFIG.generators[wildcards.generator], "equal_cost_to", None)


def zoo_costs(wildcards):
    """What training the zoo took, where a control is trained at equal cost."""
    return zoo_benchmarks(wildcards.zoo) if priced(wildcards) else []


def priced_zoo(wildcards):
    """How long the zoo's networks were trained, where a control is trained at equal cost."""
    return zoo_manifests_of([wildcards.zoo]) if priced(wildcards) else []


def generator_costs(wildcards):
    """What making another generator's networks took, where a control is trained at equal cost."""
    name = priced(wildcards)
    if name is None:
        return []
    folder = f"results/benchmarks/{wildcards.zoo}/{wildcards.canon}/{wildcards.subspace}/{name}"
    names = SimpleNamespace(zoo=wildcards.zoo, generator=name)
    decoded = [f"{folder}/decode-{shard}.tsv" for shard in range(n_generated_shards(names))]
    fit = [f"{folder.removesuffix(name)}{FITTED_BY[name]}/train_flow.tsv"] if name in FLOWS else []
    return [*fit, f"{folder}/sample.tsv", *decoded]


def benchmarks(wildcards):
    """Return the benchmark file of every job whose time the tables state."""
    zoos = dict.fromkeys(cell.zoo for cell in CELLS)
    aligned = dict.fromkeys((cell.zoo, cell.canon) for cell in CELLS)
    return (
        [path for zoo in zoos for path in zoo_benchmarks(zoo)]
        + [
            f"results/benchmarks/{zoo}/{canon}/canonicalize-{shard}.tsv"
            for zoo, canon in aligned
            for shard in range(n_shards(zoo))
        ]
        + requested("results/benchmarks/{zoo}/{canon}/stack_weights.tsv")
        + [
            f"results/benchmarks/{zoo}/{canon}/accumulate_gram-{part}.tsv"
            for zoo, canon in aligned
            for part in range(CONFIG.zoos[zoo].matrix.gram_jobs)
        ]
        + requested("results/benchmarks/{zoo}/{canon}/{subspace}/solve_basis.tsv")
        + fitted(f"{GENERATOR_BENCHMARKS}/train_flow.tsv")
        + requested(f"{GENERATOR_BENCHMARKS}/sample.tsv", SAMPLED)
        + requested_networks(f"{GENERATOR_BENCHMARKS}/decode-{{shard}}.tsv", SAMPLED)
        + requested_networks(f"{GENERATOR_BENCHMARKS}/train_control-{{shard}}.tsv", TRAINED_CONTROLS)
        + requested_networks(f"{CELL_BENCHMARKS}/recalibrate-{{shard}}.tsv", recalibrations=REPAIRS)
        + requested_networks(f"{CELL_BENCHMARKS}/score-{{shard}}.tsv")
        + requested(f"{CELL_BENCHMARKS}/evaluate.tsv")
    )
