"""What tables and figures are told of the experiments."""


def experiment_record():
    """What tables and figures are of, as far as their makers cannot read it from the results themselves."""
    names = {section: {cell[place] for cell in CELLS} for place, section in enumerate(SECTIONS)}
    return ExperimentRecord(
        cells=CELLS,
        members={
            section: {
                name: {"family": member.family, "values": member.values, "setting": member.setting}
                for name, member in members.items()
                if name in names[section]
            }
            for section, members in CONFIG.members.items()
        },
        kinds={name: CONFIG.generators[name].kind for name in names["generators"]},
        fitted_by={name: by for name, by in FITTED_BY.items() if name in names["generators"]},
        zoo_networks={name: len(network_names(CONFIG.zoos[name])) for name in names["zoos"]},
        zoo_trainings={name: len(trajectory_names(CONFIG.zoos[name])) for name in names["zoos"]},
        samples={name: CONFIG.generators[name].sampling.samples for name in names["generators"]},
        transferred=CONFIG.transferred(),
        likelihoods=[name for name in CONFIG.flows_with("likelihood") if name in names["generators"]],
        other_widths={
            name: list(CONFIG.generators[name].other_sizes)
            for name in CONFIG.flows_with("other_widths")
            if name in names["generators"]
        },
        scope=scope(),
    )


def record_settings(wildcards):
    return json.dumps(experiment_record().model_dump(mode="json"), sort_keys=True)


def scope():
    """Say in one sentence what tables and figures cover; captions state it."""
    zoos = [
        f"{name} ({len(network_names(CONFIG.zoos[name]))} networks, {n_held_out(CONFIG.zoos[name])} held out)"
        for name in dict.fromkeys(cell.zoo for cell in CELLS)
    ]
    draws = {cell.generator: CONFIG.generators[cell.generator].sampling for cell in CELLS}
    generators = [f"{name} ({draw.samples} samples, seed {draw.seed})" for name, draw in draws.items()]
    return f"Zoos: {', '.join(zoos)}. Generators: {', '.join(generators)}."
