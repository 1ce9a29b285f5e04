# Inflation and localization radius of the classical filters, chosen on the tuning split (section 5 of the paper).


rule tune_baseline:
    input:
        dataset=split_file("tune"),
        grids="resources/published/search_grids.yaml",
        winners="resources/published/dapper_grid_search_best.csv",
    output:
        grid=results("tuning/{system}_{sigma_y}_{method}_grid.csv"),
        best=results("tuning/{system}_{sigma_y}_{method}_best.csv"),
    log:
        log_file("tune_baseline/{system}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("tune_baseline/{system}_{sigma_y}_{method}")
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(720),
        mem_mb=growing(4000),
    params:
        settings=tuning_settings,
        code=code("search/tune_baseline"),
    message:
        "Tune {wildcards.method} on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/search/tune_baseline.py"
