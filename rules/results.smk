"""What tables and figures are made of, and how many there are."""

SWEPT = [f"sweep_{family}" for family in swept_families(experiment_record())]
TABLE_NAMES = ["accuracy", "novelty", "distances", "sets", "novelty_accuracy", "ensembles", "cost"]
TABLE_NAMES += ["alignment", "precision", "timing", *SWEPT]
FIGURE_NAMES = ["accuracy_at_novelty", "accuracy_against_iou", "ensembles", "explained_variance", "flow_loss"]
FIGURE_NAMES += SWEPT
TABLES = expand("results/tables/{table}.{kind}", table=TABLE_NAMES, kind=["csv", "md", "tex"])
FIGURES = expand("results/figures/{figure}.{kind}", figure=FIGURE_NAMES, kind=["pdf", "png"])


CELL_BENCHMARKS = "results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/{recalibration}"
CELL = "results/{zoo}/{canon}/{subspace}/{generator}/{recalibration}"
EVALUATED = [
    path
    for name in ("metrics.csv", "sets.csv", "ensembles.csv", "items.npz")
    for path in requested(f"{CELL}/{name}")
]
ZOO_EVALUATED = [
    path
    for name in ("zoo_metrics.csv", "zoo_ensembles.csv")
    for path in requested(f"results/{{zoo}}/{{canon}}/{name}")
]


def reported(folder, name, kind):
    """A table or figure that the report shows, with the caption that its name or its study's stands for."""
    caption = "sweep" if name in SWEPT else name
    return report(
        f"results/{folder}/{name}.{kind}",
        caption=f"../report/{caption}.rst",
        category=folder.capitalize(),
    )


def benchmarks(wildcards):
    """Return the benchmark file of every job whose time the tables state."""
    zoos = dict.fromkeys(cell.zoo for cell in CELLS)
    aligned = dict.fromkeys((cell.zoo, cell.canon) for cell in CELLS)
    return (
        [
            f"results/benchmarks/{zoo}/{'import' if zoo in IMPORTED else 'train'}_zoo-{shard}.tsv"
            for zoo in zoos
            for shard in range(n_shards(zoo))
        ]
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
        + requested("results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/train_flow.tsv", FLOWS)
        + requested("results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/sample.tsv")
        + requested_networks("results/benchmarks/{zoo}/{canon}/{subspace}/{generator}/decode-{shard}.tsv")
        + requested_networks(f"{CELL_BENCHMARKS}/recalibrate-{{shard}}.tsv", REPAIRS)
        + requested_networks(f"{CELL_BENCHMARKS}/score-{{shard}}.tsv")
        + requested(f"{CELL_BENCHMARKS}/evaluate.tsv")
    )
