# Beyond the paper: what the best classical filter reaches with a thousand members, a reference for all others.


rule run_reference:
    input:
        tune=split_file("tune"),
        test=split_file("test"),
    output:
        grid=results("reference/{system}_{sigma_y}_grid.csv"),
        best=results("reference/{system}_{sigma_y}_best.csv"),
    log:
        log_file("run_reference/{system}_{sigma_y}"),
    benchmark:
        benchmark_file("run_reference/{system}_{sigma_y}")
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(1440),
        mem_mb=growing(4000),
    params:
        settings=reference_settings,
        code=code("studies/run_reference"),
    message:
        "Very large ensemble on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/studies/run_reference.py"


rule tabulate_reference:
    input:
        runs=expand(rules.run_reference.output.best, system=CONFIG.systems, sigma_y=NOISE),
    output:
        table=results("tables/reference.csv"),
        text=results("tables/reference.md"),
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
        code=code("studies/tabulate_reference"),
    message:
        "Table of very large ensembles"
    script:
        "../workflow_scripts/studies/tabulate_reference.py"
