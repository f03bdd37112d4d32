"""Networks taken to other data sets, whatever made them."""

from dwf_steps.pipeline.settings.data import DivideTransferData
from dwf_steps.pipeline.settings.transfer import Transfer

recalibrated_shards = PATHS.recalibrated_shards("")
recalibrated_manifests = PATHS.recalibrated_shards(".json")
divide_transfer_data = RUN.step(DivideTransferData)
transfer = RUN.step(Transfer)


rule divide_transfer_data:
    input:
        data=PATHS.transfer_data,
    output:
        "results/transfers/{transfer}/data.npz",
    log:
        "results/logs/transfers/{transfer}.log",
    cache: SHARED
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=divide_transfer_data.mem_mb,
        runtime=divide_transfer_data.runtime,
    params:
        settings=divide_transfer_data.settings,
        code=divide_transfer_data.code,
    shell:
        "python -m dwf_steps.divide_transfer_data --settings {params.settings:q} --data-dir {input.data} --output {output}"
        " > {log} 2>&1"


rule transfer:
    input:
        networks=recalibrated_shards,
        manifests=recalibrated_manifests,
        data="results/transfers/{transfer}/data.npz",
    output:
        "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/transfers/{transfer}.csv",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/{recalibration}/transfer-{transfer}.log",
    conda:
        "../envs/environment.yaml"
    threads: transfer.threads
    resources:
        mem_mb=transfer.mem_mb,
        runtime=transfer.runtime,
        gpu=transfer.gpu,
    params:
        settings=transfer.settings,
        networks=recalibrated_manifests.argument,
        code=transfer.code,
    shell:
        "python -m dwf_steps.transfer --settings {params.settings:q} --data {input.data}"
        " --networks {params.networks:q} --output {output} > {log} 2>&1"
