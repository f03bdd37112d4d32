from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

DEFAULT = Path("workflow_config.yaml")  # in the working directory, else beside this file


configfile: str(DEFAULT if DEFAULT.exists() else Path(workflow.basedir) / DEFAULT)


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/zoo.smk"
include: "rules/canonicalize.smk"
include: "rules/subspace.smk"
include: "rules/generate.smk"
include: "rules/recalibrate.smk"
include: "rules/score.smk"
include: "rules/evaluate.smk"
include: "rules/transfer.smk"
include: "rules/flow_uses.smk"
include: "rules/export.smk"
include: "rules/collect.smk"


rule all:
    default_target: True
    input:
        TABLES,
        FIGURES,
        EVALUATED,
        GENERATED,
        PRETRAINED,


rule zoos:
    input:
        zoo_manifests_of(dict.fromkeys(cell.zoo for cell in CELLS)),


rule aligned:
    input:
        requested("results/{zoo}/{canon}/alignment.csv"),


rule bases:
    input:
        requested("results/{zoo}/{canon}/{subspace}/basis.npz"),


rule flows:
    input:
        fitted("results/{zoo}/{canon}/{subspace}/{generator}/model.safetensors"),


rule networks:
    input:
        GENERATED,


rule tables:
    input:
        TABLES,


rule figures:
    input:
        FIGURES,
