"""Generated networks in the form of other libraries."""


rule export_pretrained:
    input:
        networks=all_recalibrated("{folder}/shard-{shard}"),
        manifests=all_recalibrated("{folder}/shard-{shard}.json"),
        data=zoo_data,
    output:
        directory("results/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/pretrained"),
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/export_pretrained.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(export_pretrained_work),
        runtime=minutes(export_pretrained_work),
    params:
        settings=export_settings,
        code=fingerprint("dwf_steps.export_pretrained"),
    shell:
        "python -m dwf_steps.export_pretrained --settings {params.settings:q} --data-dir {input.data}"
        " --networks {input.manifests} --output {output} > {log} 2>&1"
