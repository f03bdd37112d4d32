import sys

from snakemake.utils import min_version

min_version("9.0")
sys.path.insert(0, workflow.current_basedir.get_path_or_uri(secret_free=True))

from dwf_steps.pipeline.start import default_configuration


configfile: default_configuration()


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/zoo.smk"
include: "rules/canonicalize.smk"
include: "rules/subspace.smk"
include: "rules/represent.smk"
include: "rules/generate.smk"
include: "rules/recalibrate.smk"
include: "rules/score.smk"
include: "rules/evaluate.smk"
include: "rules/transfer.smk"
include: "rules/flow_analysis.smk"
include: "rules/export.smk"
include: "rules/collect.smk"


rule all:
    default_target: True
    input:
        RUN.collected.files,
        PATHS.evaluated,
        PATHS.generated,
        PATHS.pretrained,


rule zoos:
    input:
        PATHS.zoo_manifests,


rule aligned:
    input:
        PATHS.requested("results/{zoo}/{canon}/alignment.csv"),


rule bases:
    input:
        PATHS.requested("results/{zoo}/{canon}/{representation}/{subspace}/basis.npz"),


rule flows:
    input:
        PATHS.fitted("results/{zoo}/{canon}/{representation}/{subspace}/{generator}/model.safetensors"),


rule networks:
    input:
        PATHS.generated,


rule tables:
    input:
        RUN.collected.table_files,


rule figures:
    input:
        RUN.collected.figure_files,
