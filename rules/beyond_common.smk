# Functions of the targets beyond the paper: robustness, scaling_dimension, reference; no rules.

ROBUSTNESS_METHODS = {"letkf": None, "mnmef_tuned": "mnmef", "mnmef_conv": "mnmef_conv"}
"""Methods that are compared, and which learned filter each is."""


def robustness_design():
    """What decides the conditions and their truths."""
    return {key: value for key, value in SETTINGS["robustness"].items() if key != "sigma_y"}


def robustness_cells():
    """The wildcards of all runs that the config allows, for `expand(..., zip)`: on systems with a grid."""
    part = CONFIG.robustness
    used = part.sigma_y in CONFIG.noise_levels and part.ensemble_size in CONFIG.ensemble_sizes
    cells = [
        (system, str(part.sigma_y), method)
        for system in CONFIG.systems
        for method, name in ROBUSTNESS_METHODS.items()
        if used and system in GRIDDED_SYSTEMS and (name or method) in [*CONFIG.learned, *CONFIG.baselines[system]]
    ]
    return {name: [cell[i] for cell in cells] for i, name in enumerate(("system", "sigma_y", "tried"))}


def robustness_source(wildcards):
    """The weights of a learned method (heads with what they stand on), or the tuned settings of a classical one."""
    cell = {"system": wildcards.system, "sigma_y": wildcards.sigma_y}
    if ROBUSTNESS_METHODS[wildcards.tried] is None:
        return expand(rules.tune_baseline.output.best, **cell, method=wildcards.tried)
    if wildcards.tried == "mnmef_conv":
        stem, made = "conv", expand(rules.train_filter.output.weights, **cell, trained="conv")
    else:
        stem = f"heads_{CONFIG.robustness.ensemble_size}"
        made = expand(rules.finetune_filter.output.weights, **cell, members=CONFIG.robustness.ensemble_size)
    if CONFIG.weights != "shipped":
        return made
    return [shipped_file(stem, wildcards)] + ([] if stem == "conv" else [shipped_file("pretrained", wildcards)])


def robustness_settings(wildcards):
    """What decides a run besides its source."""
    name = ROBUSTNESS_METHODS[wildcards.tried]
    return {
        "filter_name": name,
        "model": settings.model_settings(SETTINGS, wildcards.system, name) if name else {},
        "design": robustness_design(),
        "seed": CONFIG.seed,
    }


def scaling_settings(wildcards):
    """What decides a run besides its weights or tuned settings."""
    section = SETTINGS["scaling"]
    plan = {key: section[key] for key in ("points", "cycles", "timed_cycles", "ensemble_size")}
    return {"sigma_y": section["sigma_y"], "plan": plan, "seed": CONFIG.seed}


def scaling_conv_settings(wildcards):
    """As `scaling_settings`, with the network."""
    return {**scaling_settings(wildcards), "model": settings.model_settings(SETTINGS, "lorenz96", "mnmef_conv")}


def scaling_weights(wildcards):
    """The weights of mnmef_conv, trained here or shipped."""
    cell = {"system": "lorenz96", "sigma_y": CONFIG.scaling.sigma_y}
    if CONFIG.weights == "shipped":
        return expand("resources/weights/{system}_{sigma_y}/conv.safetensors", **cell)[0]
    return expand(rules.train_filter.output.weights, **cell, trained="conv")[0]


def scaling_runs():
    """All runs that the config allows; an engine that forms D x d matrices stops at a grid that its memory allows."""
    part = CONFIG.scaling
    if "lorenz96" not in CONFIG.systems or part.sigma_y not in CONFIG.noise_levels:
        return []
    learned = part.sizes if "mnmef_conv" in CONFIG.learned else []
    has_letkf = "letkf" in CONFIG.baselines["lorenz96"] and part.ensemble_size in CONFIG.ensemble_sizes
    dense = [size for size in part.sizes if has_letkf and size <= part.dense_limit]
    return expand(rules.scale_learned.output.table, state_size=learned) + expand(
        rules.scale_baseline.output.table, engine=["letkf", "dapper"], state_size=dense
    )


def scaling_tuned():
    """LETKF's settings, tuned on 40 variables."""
    return expand(rules.tune_baseline.output.best, system="lorenz96", sigma_y=CONFIG.scaling.sigma_y, method="letkf")[0]


def reference_settings(wildcards):
    """What decides a reference besides its data; localized methods have no radii without a grid, and are left out."""
    plan = settings.for_system(SETTINGS["reference"], wildcards.system)
    radii = plan["radii"] if wildcards.system in GRIDDED_SYSTEMS else []
    del plan["in_figures"]
    return {"plan": {**plan, "radii": radii}, "seed": CONFIG.seed}
