"""Networks taken to other data sets, whatever made them."""


rule divide_transfer_data:
    input:
        data=transfer_data,
    output:
        "results/transfers/{transfer}/data.npz",
    log:
        "results/logs/transfers/{transfer}.log",
    cache: SHARED
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(divide_transfer_data_work),
        runtime=minutes(divide_transfer_data_work),
    params:
        settings=transfer_data_settings,
        code=fingerprint("dwf_steps.divide_data"),
    shell:
        "python -m dwf_steps.divide_data --settings {params.settings:q} --data-dir {input.data} --output {output}"
        " > {log} 2>&1"


rule transfer:
    input:
        networks=all_recalibrated("{folder}/shard-{shard}"),
        manifests=all_recalibrated("{folder}/shard-{shard}.json"),
        data="results/transfers/{transfer}/data.npz",
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
        "python -m dwf_steps.transfer --settings {params.settings:q} --data {input.data}"
        " --networks {input.manifests} --output {output} > {log} 2>&1"
