# Functions of rules/beyond.smk: inputs and params of its rules; no rules.

from mnmef.data.published import load_searches
from mnmef.experiments.files import known_experiments, read_experiment

ROBUSTNESS_METHODS = ("letkf", "mnmef_finetuned", "mnmef_conv", "mnmef_local")
"""Methods that the table of robustness compares."""


# The batched filters on the full published grids under the published protocol


def published_settings(wildcards):
    """Return grid, race and seed of a published search done again, and the file of its scores until it is complete."""
    section = SETTINGS[wildcards.experiment]["search"]
    return {
        "grid": {key: section[key] for key in ("inflation", "localization_radius", "protocol")},
        **chosen(wildcards, "published", "ienks", "ensemble_sizes", "seed"),
        "partial": results("resume/published_{experiment}_{sigma_y}_{method}.json").format(**wildcards),
    }


def published_cells():
    """All published searches of the experiments, noise levels and sizes in use, for `expand(..., zip)`."""
    table = load_searches(PUBLISHED_SEARCHES)
    for column, used in (
        ("experiment", CONFIG.experiments),
        ("sigma_y", CONFIG.noise_levels),
        ("ensemble_size", CONFIG.ensemble_sizes),
    ):
        table = table[table[column].isin(used)]
    return table[["experiment", "sigma_y", "method"]].drop_duplicates().astype(str).to_dict("list")


# What the best classical filter reaches with a thousand members, a reference for all others


def reference_settings(wildcards):
    """Return plan and seed of a reference."""
    part = SETTINGS[wildcards.experiment]
    return {
        "plan": {key: part["reference"][key] for key in part["reference"] if key != "in_figures"},
        "seed": part["seed"],
    }


# The same weights and settings under other noise, other dynamics, other first ensembles and a gap


def robustness_design():
    """Return conditions and sizes of the comparison."""
    return {key: value for key, value in CONFIG.robustness.model_dump().items() if key != "sigma_y"}


def robustness_cells():
    """All runs that the config allows, for `expand(..., zip)`: on experiments with a grid."""
    part = CONFIG.robustness
    used = part.sigma_y in CONFIG.noise_levels and part.ensemble_size in CONFIG.ensemble_sizes
    cells = [
        (name, str(part.sigma_y), method)
        for name in SETTINGS
        for method in ROBUSTNESS_METHODS
        if used
        and RUN.descriptions[name]["grid"] is not None
        and METHODS[method].filter in [*filters_of(name), *SETTINGS[name]["baselines"]]
    ]
    return columns(("experiment", "sigma_y", "method"), cells)


def robustness_source(wildcards):
    """The weights of a learned method (heads with what they stand on), or the searched settings of a classical one."""
    method, cell = METHODS[wildcards.method], Cell(experiment=wildcards.experiment, sigma_y=wildcards.sigma_y)
    if not method.is_learned:
        return expand(rules.search_baseline.output.best, **cell, method=method.name)
    members = CONFIG.robustness.ensemble_size if method.stage == "finetuned" else None
    return [checkpoint(cell, method.filter, method.stage, members), *base_of(cell, method.filter, method.stage)]


def robustness_settings(wildcards):
    """Return model, design and seed of a run."""
    method = METHODS[wildcards.method]
    return {
        "model": model_settings(wildcards, method.filter) if method.is_learned else {},
        "design": robustness_design(),
        "seed": CONFIG.seed,
    }


# mnmef_local and LETKF on many more variables than in training and search. Time them with --cores 1.


def scaling_cell():
    """The cell whose weights and settings are used."""
    return Cell(experiment=CONFIG.scaling.experiment, sigma_y=str(CONFIG.scaling.sigma_y))


def scaling_settings(wildcards):
    """Return noise level, plan and seed of a run on a longer grid."""
    part = CONFIG.scaling.model_dump()
    plan = {key: part[key] for key in ("points", "cycles", "timed_cycles", "ensemble_size")}
    return {"sigma_y": part["sigma_y"], "plan": plan, "seed": CONFIG.seed}


def scaling_local_settings(wildcards):
    """Return `scaling_settings` with the network."""
    return {**scaling_settings(wildcards), "model": model_settings(scaling_cell(), "mnmef_local")}


def scaling_runs():
    """All runs that the config allows, `mnmef_local` among `learned` or not; an engine that forms D x d matrices stops at
    a grid that its memory allows.
    """
    part = CONFIG.scaling
    if part.experiment not in SETTINGS or part.sigma_y not in CONFIG.noise_levels:
        return []
    learned = part.sizes if RUN.descriptions[part.experiment]["grid"] == "periodic" else []
    has_letkf = "letkf" in SETTINGS[part.experiment]["baselines"] and part.ensemble_size in CONFIG.ensemble_sizes
    dense = [size for size in part.sizes if has_letkf and size <= part.dense_limit]
    return expand(rules.scale_learned.output.table, state_size=learned) + expand(
        rules.scale_baseline.output.table, engine=["letkf", "dapper"], state_size=dense
    )


# Scores that the field knows: published settings of classical filters, whose expected scores are in experiments' files

CANONICAL = [name for name in known_experiments() if read_experiment(name).get("expected")]
"""Experiments with expected scores."""


def canonical_content(wildcards):
    """Return the file of an experiment with expected scores."""
    return read_experiment(wildcards.setting)
