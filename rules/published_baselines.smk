# The published baselines once more: the batched filters on the full published grids under the published protocol.


rule search_published_baseline:
    input:
        grids="resources/published/search_grids.yaml",
        winners="resources/published/dapper_grid_search_best.csv",
    output:
        table=results("published_baselines/{system}_{sigma_y}_{method}.csv"),
    log:
        log_file("published_baselines/{system}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("published_baselines/{system}_{sigma_y}_{method}")
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(2880),
        mem_mb=growing(4000),
    params:
        settings=published_settings,
        code=code("studies/published_baselines"),
    message:
        "Published grids of {wildcards.method} on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/studies/published_baselines.py"


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
        code=code("studies/gather_published_baselines"),
    message:
        "Gather the published baselines and ours"
    script:
        "../workflow_scripts/studies/gather_published_baselines.py"
