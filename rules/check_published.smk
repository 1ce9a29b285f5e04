# The published baselines once more: the batched filters at the published settings under the published protocol.


rule check_published:
    input:
        grids="resources/published/search_grids.yaml",
        winners="resources/published/dapper_grid_search_best.csv",
    output:
        table=results("published_check/{system}_{sigma_y}_{method}.csv"),
    log:
        log_file("check_published/{system}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("check_published/{system}_{sigma_y}_{method}")
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=720,
        mem_mb=4000,
    params:
        settings={"seed": CONFIG.seed},
        code=code("check_published"),
    message:
        "Published settings of {wildcards.method} on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/check_published.py"
