"""Tables and figures of everything the experiments ask for."""


report: "../report/workflow.rst"


rule tabulate:
    input:
        metrics=requested("results/{zoo}/{canon}/{subspace}/{generator}/metrics.csv"),
        zoo_metrics=requested("results/{zoo}/{canon}/zoo_metrics.csv"),
        alignments=requested("results/{zoo}/{canon}/alignment.csv"),
        generated=GENERATED,
        benchmarks=benchmarks,
    output:
        report("results/tables/accuracy.csv", caption="../report/accuracy.rst", category="Tables"),
        report("results/tables/novelty.csv", caption="../report/novelty.rst", category="Tables"),
        report("results/tables/alignment.csv", caption="../report/alignment.rst", category="Tables"),
        report("results/tables/precision.csv", caption="../report/precision.rst", category="Tables"),
        report("results/tables/timing.csv", caption="../report/timing.rst", category="Tables"),
        expand("results/tables/{table}.{kind}", table=TABLE_NAMES, kind=["md", "tex"]),
    log:
        "results/logs/tabulate.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        settings=table_settings,
        scope=scope,
        code=fingerprint("dwf_steps.tabulate"),
    shell:
        "python -m dwf_steps.tabulate --settings {params.settings:q} --metrics {input.metrics}"
        " --zoo-metrics {input.zoo_metrics} --alignments {input.alignments}"
        " --generated {input.generated} --benchmarks {input.benchmarks} --output results/tables > {log} 2>&1"


rule plot:
    input:
        metrics=requested("results/{zoo}/{canon}/{subspace}/{generator}/metrics.csv"),
        zoo_metrics=requested("results/{zoo}/{canon}/zoo_metrics.csv"),
        bases=requested("results/{zoo}/{canon}/{subspace}/basis.npz"),
        losses=requested("results/{zoo}/{canon}/{subspace}/{generator}/training.csv", FLOWS),
    output:
        report(
            "results/figures/accuracy_against_iou.png",
            caption="../report/accuracy_against_iou.rst",
            category="Figures",
        ),
        report(
            "results/figures/explained_variance.png",
            caption="../report/explained_variance.rst",
            category="Figures",
        ),
        report(
            "results/figures/flow_loss.png",
            caption="../report/flow_loss.rst",
            category="Figures",
        ),
        expand("results/figures/{figure}.pdf", figure=FIGURE_NAMES),
    log:
        "results/logs/plot.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        scope=scope,
        code=fingerprint("dwf_steps.plot"),
    shell:
        "python -m dwf_steps.plot --metrics {input.metrics} --zoo-metrics {input.zoo_metrics}"
        " --bases {input.bases} --losses {input.losses} --output results/figures > {log} 2>&1"
