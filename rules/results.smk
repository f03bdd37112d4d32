"""What tables and figures are made of, and how many there are."""

CELL = f"{GENERATOR}/{{recalibration}}"
SWEPT = [f"sweep_{family}" for family in swept_families(experiment_record())]
TABLE_NAMES = ["accuracy", "novelty", "distances", "sets", "novelty_accuracy", "ensembles", "cost"]
TABLE_NAMES += ["alignment", "precision", "timing", *SWEPT]
FIGURE_NAMES = ["accuracy_at_novelty", "accuracy_against_iou", "ensembles", "explained_variance", "flow_loss"]
FIGURE_NAMES += SWEPT
TRANSFERRED = [f"{CELL}/transfers/{name}.csv".format(**cell._asdict()) for cell, name in CONFIG.transferred()]
TABLE_NAMES += ["transfer"] if TRANSFERRED else []
FIGURE_NAMES += ["transfer"] if TRANSFERRED else []
LIKELIHOODS = requested(f"{GENERATOR}/likelihood.csv", WITH_LIKELIHOOD)
OTHER_WIDTHS = [
    f"{path}/{size}.json"
    for path in requested(f"{GENERATOR}/other_widths", WITH_OTHER_WIDTHS)
    for size in CONFIG.generators[Path(path).parts[-2]].other_sizes
]
TABLE_NAMES += ["likelihood"] if LIKELIHOODS else []
TABLE_NAMES += ["other_widths"] if OTHER_WIDTHS else []
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
    """A table or figure that the report shows, with the caption that its name or its study's stands for."""
    caption = "sweep" if name in SWEPT else name
    return report(
        f"results/{folder}/{name}.{kind}",
        caption=f"../report/{caption}.rst",
        category=folder.capitalize(),
    )


def zoo_benchmarks(zoo):
    stage = "import_zoo" if zoo in IMPORTED else "train_zoo"
    return [f"results/benchmarks/{zoo}/{stage}-{shard}.tsv" for shard in range(n_shards(zoo))]


def cost_matched(wildcards):
    """The generator whose cost another one equals, if it is such a one."""
    return CONFIG.generators[wildcards.generator].cost_matched


def cost_matched_zoo_benchmarks(wildcards):
    """What training the zoo took, where networks are trained at equal cost."""
    return zoo_benchmarks(wildcards.zoo) if cost_matched(wildcards) else []


def cost_matched_zoo(wildcards):
    """How long the zoo's networks were trained, where networks are trained at equal cost."""
    return zoo_manifests_of([wildcards.zoo]) if cost_matched(wildcards) else []


def cost_matched_benchmarks(wildcards):
    """What making the other generator's networks took, where networks are trained at equal cost."""
    name = cost_matched(wildcards)
    if name is None:
        return []
    folder = f"results/benchmarks/{wildcards.zoo}/{wildcards.canon}/{wildcards.subspace}/{name}"
    names = SimpleNamespace(zoo=wildcards.zoo, generator=name)
    decoded = [f"{folder}/decode-{shard}.tsv" for shard in range(n_generated_shards(names))]
    fit = [f"{folder.removesuffix(name)}{FITTED_BY[name]}/fit_generator.tsv"] if name in FITTED_BY else []
    return [*fit, f"{folder}/sample_generator.tsv", *decoded]


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
        + fitted(f"{GENERATOR_BENCHMARKS}/fit_generator.tsv")
        + requested(f"{GENERATOR_BENCHMARKS}/sample_generator.tsv", SAMPLED)
        + requested_networks(f"{GENERATOR_BENCHMARKS}/decode-{{shard}}.tsv", SAMPLED)
        + requested_networks(f"{GENERATOR_BENCHMARKS}/make_networks-{{shard}}.tsv", MADE)
        + requested_networks(f"{CELL_BENCHMARKS}/recalibrate-{{shard}}.tsv", recalibrations=REPAIRS)
        + requested_networks(f"{CELL_BENCHMARKS}/score-{{shard}}.tsv")
        + requested(f"{CELL_BENCHMARKS}/evaluate.tsv")
    )
