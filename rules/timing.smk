# Figure 8 of the paper: wall time of a cycle of each filter, forecast and analysis apart. A job that times has all cores
# of the run, so that no other job disturbs it, and uses one; what else runs on the machine is the user's to see to.


rule time_filters:
    input:
        unpack(timing_weights),
        dataset=split_file("test"),
        winners="resources/published/dapper_grid_search_best.csv",
    output:
        table=results("timing/{system}.csv"),
    log:
        log_file("time_filters/{system}"),
    benchmark:
        benchmark_file("time_filters/{system}")
    conda:
        "../envs/baselines.yaml"
    threads: machine_cores()
    resources:
        runtime=growing(60),
        mem_mb=growing(4000),
    params:
        settings=timing_settings,
        code=code("studies/time_filters"),
    message:
        "Time all filters on {wildcards.system}"
    script:
        "../workflow_scripts/studies/time_filters.py"


rule figure_8:
    input:
        runs=expand(rules.time_filters.output.table, system=timed_systems()),
        published="resources/published/seconds_per_step_figure_8.csv",
    output:
        table=results("tables/figure_8.csv"),
        svg=figure_file(8, "svg"),
        png=figure_file(8, "png"),
    log:
        log_file("figure_8"),
    benchmark:
        benchmark_file("figure_8")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("report/plot_timing"),
    message:
        "Figure 8: wall time of a cycle against ensemble size"
    script:
        "../workflow_scripts/report/plot_timing.py"
