"""Networks taken to other data sets, whatever made them."""


rule transfer:
    input:
        networks=all_recalibrated("{folder}/shard-{shard}"),
        manifests=all_recalibrated("{folder}/shard-{shard}.json"),
        data=transfer_data,
    output:
        "results/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/transfers/{transfer}.csv",
    log:
        "results/logs/{zoo}/{canon}/{subspace}/{generator}/{recalibration}/transfer-{transfer}.log",
    conda:
        "../envs/environment.yaml"
    threads: zoo_threads
    resources:
        mem_mb=memory(transfer_work, accelerated=True),
        runtime=minutes(transfer_work, accelerated=True),
        gpu=gpus(transfer_work),
    params:
        settings=transfer_settings,
        code=fingerprint("dwf_steps.transfer"),
    shell:
        "python -m dwf_steps.transfer --settings {params.settings:q} --data-dir {input.data}"
        " --networks {input.manifests} --output {output} > {log} 2>&1"
