"""Tables and figures of everything the experiments ask for."""


report: "../report/workflow.rst"


rule tabulate:
    input:
        measures=expand("{file}", file=EVALUATED),
        zoo_measures=ZOO_EVALUATED,
        transfers=TRANSFERRED,
        likelihoods=LIKELY,
        other_widths=OTHER_WIDTHS,
        alignments=requested("results/{zoo}/{canon}/alignment.csv"),
        generated=GENERATED,
        benchmarks=benchmarks,
    output:
        [reported("tables", name, "csv") for name in TABLE_NAMES],
        expand("results/tables/{table}.{kind}", table=TABLE_NAMES, kind=["md", "tex"]),
        CAPTIONS,
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
        settings=record_settings,
        makers=TABLE_MAKERS,
        code=fingerprint("dwf_steps.tabulate"),
    shell:
        "python -m dwf_steps.tabulate results --settings {params.settings:q} --output results/tables"
        " --summary {output.summary} --captions results/captions > {log} 2>&1"


rule plot:
    input:
        measures=expand("{file}", file=EVALUATED),
        zoo_measures=ZOO_EVALUATED,
        transfers=TRANSFERRED,
        bases=requested("results/{zoo}/{canon}/{subspace}/basis.npz"),
        losses=fitted("results/{zoo}/{canon}/{subspace}/{generator}/training.csv"),
        tables=expand("results/tables/{table}.csv", table=TABLE_NAMES),
        record="results/tables/experiment.json",
    output:
        [reported("figures", name, "png") for name in FIGURE_NAMES],
        expand("results/figures/{figure}.pdf", figure=FIGURE_NAMES),
    log:
        "results/logs/plot.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        makers=FIGURE_MAKERS,
        code=fingerprint("dwf_steps.plot"),
    shell:
        "python -m dwf_steps.plot results --output results/figures > {log} 2>&1"
