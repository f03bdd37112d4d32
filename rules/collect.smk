"""Tables and figures of everything the experiments ask for."""

COLLECTED = RUN.collected


report: "../report/workflow.rst"


rule tabulate:
    input:
        measures=PATHS.evaluated,
        zoo_measures=PATHS.zoo_evaluated,
        transfers=PATHS.transferred,
        likelihoods=PATHS.likelihoods,
        reconstructions=PATHS.reconstructions,
        other_widths=PATHS.other_widths,
        representations=PATHS.assessed,
        alignments=PATHS.requested("results/{zoo}/{canon}/alignment.csv"),
        generated=PATHS.generated,
        benchmarks=PATHS.benchmarks,
    output:
        [RUN.reported("tables", name, "csv") for name in COLLECTED.tables],
        expand("results/tables/{table}.{kind}", table=COLLECTED.tables, kind=["md", "tex"]),
        COLLECTED.captions,
        record="results/tables/experiment.json",
        summary="results/summary.md",
    log:
        "results/logs/tabulate.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        settings=RUN.record,
        makers=COLLECTED.table_makers,
        code=RUN.code("tabulate"),
    shell:
        "python -m dwf_steps.tabulate results --settings {params.settings:q} --output results/tables"
        " --summary {output.summary} --captions results/captions > {log} 2>&1"


rule plot:
    input:
        measures=PATHS.evaluated,
        zoo_measures=PATHS.zoo_evaluated,
        transfers=PATHS.transferred,
        weights=PATHS.requested("results/{zoo}/{canon}/weights.zarr"),
        generated=PATHS.generated,
        bases=PATHS.requested("results/{zoo}/{canon}/{representation}/{subspace}/basis.npz"),
        losses=PATHS.fitted("results/{zoo}/{canon}/{representation}/{subspace}/{generator}/training.csv"),
        tables=expand("results/tables/{table}.csv", table=COLLECTED.tables),
        record="results/tables/experiment.json",
    output:
        [RUN.reported("figures", name, "png") for name in COLLECTED.figures],
        expand("results/figures/{figure}.pdf", figure=COLLECTED.figures),
    log:
        "results/logs/plot.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        makers=COLLECTED.figure_makers,
        code=RUN.code("plot"),
    shell:
        "python -m dwf_steps.plot results --output results/figures > {log} 2>&1"
