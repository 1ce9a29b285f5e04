# Beyond the paper: the same weights and settings under other noise, other dynamics, other first ensembles and a gap.

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


rule run_conditions:
    input:
        source=robustness_source,
    output:
        table=results("robustness/{system}_{sigma_y}_{tried}.csv"),
    log:
        log_file("run_conditions/{system}_{sigma_y}_{tried}"),
    benchmark:
        benchmark_file("run_conditions/{system}_{sigma_y}_{tried}")
    wildcard_constraints:
        tried="|".join(ROBUSTNESS_METHODS),
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        settings=robustness_settings,
        code=code("run_conditions"),
    message:
        "Robustness of {wildcards.tried} on {wildcards.system}"
    script:
        "../workflow_scripts/run_conditions.py"


rule tabulate_robustness:
    input:
        runs=expand(rules.run_conditions.output.table, zip, **robustness_cells()),
    output:
        table=results("tables/robustness.csv"),
        text=results("tables/robustness.md"),
    log:
        log_file("tabulate_robustness"),
    benchmark:
        benchmark_file("tabulate_robustness")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        design=robustness_design(),
        code=code("tabulate_robustness"),
    message:
        "Robustness table"
    script:
        "../workflow_scripts/tabulate_robustness.py"
