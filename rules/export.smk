"""Generated networks in the form of other libraries."""

from dwf_steps.pipeline.settings.export import ExportPretrained

export_pretrained = RUN.step(ExportPretrained)


rule export_pretrained:
    input:
        networks=recalibrated_shards,
        manifests=recalibrated_manifests,
        data=PATHS.zoo_data,
    output:
        directory("results/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/pretrained"),
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/export_pretrained.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=export_pretrained.mem_mb,
        runtime=export_pretrained.runtime,
    params:
        settings=export_pretrained.settings,
        networks=recalibrated_manifests.argument,
        code=export_pretrained.code,
    shell:
        "python -m dwf_steps.export_pretrained --settings {params.settings:q} --data-dir {input.data}"
        " --networks {params.networks:q} --output {output} > {log} 2>&1"
