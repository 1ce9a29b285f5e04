# Beyond the paper, and so not part of `all`: the published baselines once more, a classical filter with a very large
# ensemble, filters away from what they were trained and tuned at, and many more variables.

from mnmef.data.published import load_searches

ROBUSTNESS_METHODS = ("letkf", "mnmef_finetuned", "mnmef_conv")
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
    table = load_searches(Path(workflow.basedir) / PUBLISHED_SEARCHES)
    for column, used in (
        ("experiment", CONFIG.experiments),
        ("sigma_y", CONFIG.noise_levels),
        ("ensemble_size", CONFIG.ensemble_sizes),
    ):
        table = table[table[column].isin(used)]
    return table[["experiment", "sigma_y", "method"]].drop_duplicates().astype(str).to_dict("list")


rule search_published_baseline:
    input:
        winners=PUBLISHED_SEARCHES,
    output:
        table=results("published_baselines/{experiment}_{sigma_y}_{method}.csv"),
    log:
        log_file("published_baselines/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("published_baselines/{experiment}_{sigma_y}_{method}")
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(2880),
        mem_mb=growing(4000),
    params:
        description=described,
        settings=published_settings,
        code=code("beyond/search_published_baseline"),
    message:
        "Published grids of {wildcards.method} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/beyond/search_published_baseline.py"


rule gather_published_baselines:
    input:
        searches=expand(rules.search_published_baseline.output.table, zip, **published_cells()),
    output:
        table=results("published_baselines.csv"),
        summary=results("published_baselines_summary.csv"),
    log:
        log_file("gather_published_baselines"),
    benchmark:
        benchmark_file("gather_published_baselines")
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("beyond/gather_published_baselines"),
    message:
        "Gather the published baselines and ours"
    script:
        "../workflow_scripts/beyond/gather_published_baselines.py"


# What the best classical filter reaches with a thousand members, a reference for all others


def reference_settings(wildcards):
    """Return plan and seed of a reference."""
    part = SETTINGS[wildcards.experiment]
    return {
        "plan": {key: part["reference"][key] for key in part["reference"] if key != "in_figures"},
        "seed": part["seed"],
    }


rule run_reference:
    input:
        tune=split_file("tune"),
        test=split_file("test"),
    output:
        grid=results("reference/{experiment}_{sigma_y}_grid.csv"),
        best=results("reference/{experiment}_{sigma_y}_best.csv"),
    log:
        log_file("run_reference/{experiment}_{sigma_y}"),
    benchmark:
        benchmark_file("run_reference/{experiment}_{sigma_y}")
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(1440),
        mem_mb=growing(4000),
    params:
        settings=reference_settings,
        code=code("beyond/run_reference"),
    message:
        "Very large ensemble on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/beyond/run_reference.py"


rule tabulate_reference:
    input:
        runs=expand(rules.run_reference.output.best, experiment=list(SETTINGS), sigma_y=NOISE),
    output:
        **tabulated("reference"),
    log:
        log_file("tabulate_reference"),
    benchmark:
        benchmark_file("tabulate_reference")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("beyond/tabulate_reference"),
    message:
        "Table of very large ensembles"
    script:
        "../workflow_scripts/beyond/tabulate_reference.py"


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


rule run_conditions:
    input:
        source=robustness_source,
    output:
        table=results("robustness/{experiment}_{sigma_y}_{method}.csv"),
    log:
        log_file("run_conditions/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("run_conditions/{experiment}_{sigma_y}_{method}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        description=described,
        settings=robustness_settings,
        code=code("beyond/run_conditions"),
    message:
        "Robustness of {wildcards.method} on {wildcards.experiment}"
    script:
        "../workflow_scripts/beyond/run_conditions.py"


rule tabulate_robustness:
    input:
        runs=expand(rules.run_conditions.output.table, zip, **robustness_cells()),
    output:
        **tabulated("robustness"),
    log:
        log_file("tabulate_robustness"),
    benchmark:
        benchmark_file("tabulate_robustness")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        design=robustness_design(),
        code=code("beyond/tabulate_robustness"),
    message:
        "Robustness table"
    script:
        "../workflow_scripts/beyond/tabulate_robustness.py"


# mnmef_conv and LETKF on many more variables than in training and search. Time them with --cores 1.


def scaling_cell():
    """The cell whose weights and settings are used."""
    return Cell(experiment=CONFIG.scaling.experiment, sigma_y=str(CONFIG.scaling.sigma_y))


def scaling_settings(wildcards):
    """Return noise level, plan and seed of a run on a longer grid."""
    part = CONFIG.scaling.model_dump()
    plan = {key: part[key] for key in ("points", "cycles", "timed_cycles", "ensemble_size")}
    return {"sigma_y": part["sigma_y"], "plan": plan, "seed": CONFIG.seed}


def scaling_conv_settings(wildcards):
    """Return `scaling_settings` with the network."""
    return {**scaling_settings(wildcards), "model": model_settings(scaling_cell(), "mnmef_conv")}


def scaling_runs():
    """All runs that the config allows; an engine that forms D x d matrices stops at a grid that its memory allows."""
    part = CONFIG.scaling
    if part.experiment not in SETTINGS or part.sigma_y not in CONFIG.noise_levels:
        return []
    learned = part.sizes if "mnmef_conv" in filters_of(part.experiment) else []
    has_letkf = "letkf" in SETTINGS[part.experiment]["baselines"] and part.ensemble_size in CONFIG.ensemble_sizes
    dense = [size for size in part.sizes if has_letkf and size <= part.dense_limit]
    return expand(rules.scale_learned.output.table, state_size=learned) + expand(
        rules.scale_baseline.output.table, engine=["letkf", "dapper"], state_size=dense
    )


rule scale_learned:
    input:
        weights=checkpoint(scaling_cell(), "mnmef_conv"),
    output:
        table=results("scaling/mnmef_conv_{state_size}.csv"),
    log:
        log_file("scale_learned/{state_size}"),
    benchmark:
        benchmark_file("scale_learned/{state_size}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(480),
        mem_mb=growing(8000),
    params:
        description=RUN.descriptions.get(CONFIG.scaling.experiment),
        settings=scaling_conv_settings,
        code=code("beyond/scale_learned"),
    message:
        "mnmef_conv on {wildcards.state_size} variables"
    script:
        "../workflow_scripts/beyond/scale_learned.py"


rule scale_baseline:
    input:
        best=expand(rules.search_baseline.output.best, **scaling_cell(), method="letkf")[0],
    output:
        table=results("scaling/{engine}_{state_size}.csv"),
    log:
        log_file("scale_baseline/{engine}_{state_size}"),
    benchmark:
        benchmark_file("scale_baseline/{engine}_{state_size}")
    wildcard_constraints:
        engine="letkf|dapper",
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(480),
        mem_mb=growing(8000),
    params:
        description=RUN.descriptions.get(CONFIG.scaling.experiment),
        settings=scaling_settings,
        code=code("beyond/scale_baseline"),
    message:
        "LETKF ({wildcards.engine}) on {wildcards.state_size} variables"
    script:
        "../workflow_scripts/beyond/scale_baseline.py"


rule scaling_dimension:
    input:
        runs=scaling_runs(),
    output:
        table=results("tables/scaling_dimension.csv"),
        svg=results("figures/scaling_dimension.svg"),
        png=results("figures/scaling_dimension.png"),
    log:
        log_file("scaling_dimension"),
    benchmark:
        benchmark_file("scaling_dimension")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("beyond/scaling_dimension"),
    message:
        "Error, time and memory against the number of variables"
    script:
        "../workflow_scripts/beyond/scaling_dimension.py"
