# Beyond the paper: mnmef_conv, trained on 40 variables, on Lorenz '96 with up to 40,000. Time it with --cores 1.


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


rule scale_learned:
    input:
        weights=scaling_weights,
    output:
        table=results("scaling/mnmef_conv_{state_size}.csv"),
    log:
        log_file("scale_learned/{state_size}"),
    benchmark:
        benchmark_file("scale_learned/{state_size}")
    wildcard_constraints:
        state_size=r"\d+",
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=480,
        mem_mb=8000,
    params:
        settings=scaling_conv_settings,
        code=code("scale_learned"),
    message:
        "mnmef_conv on {wildcards.state_size} variables"
    script:
        "../workflow_scripts/scale_learned.py"


rule scale_baseline:
    input:
        best=scaling_tuned(),
    output:
        table=results("scaling/{engine}_{state_size}.csv"),
    log:
        log_file("scale_baseline/{engine}_{state_size}"),
    benchmark:
        benchmark_file("scale_baseline/{engine}_{state_size}")
    wildcard_constraints:
        engine="letkf|dapper",
        state_size=r"\d+",
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=480,
        mem_mb=8000,
    params:
        settings=scaling_settings,
        code=code("scale_baseline"),
    message:
        "LETKF ({wildcards.engine}) on {wildcards.state_size} variables"
    script:
        "../workflow_scripts/scale_baseline.py"


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
        runtime=10,
        mem_mb=2000,
    params:
        code=code("plot_scaling"),
    message:
        "Error, time and memory against the number of variables"
    script:
        "../workflow_scripts/plot_scaling.py"
