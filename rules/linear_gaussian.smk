# Figure C.13: the learned filter on a linear-Gaussian system, for four losses, against the exact filter.


rule run_linear:
    output:
        run=results("linear_gaussian/{variant}.nc"),
    log:
        log_file("run_linear/{variant}"),
    benchmark:
        benchmark_file("run_linear/{variant}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        settings=linear_settings(),
        code=code("studies/run_linear"),
    message:
        "Linear-Gaussian system: {wildcards.variant}"
    script:
        "../workflow_scripts/studies/run_linear.py"


rule figure_c13:
    input:
        runs=linear_runs(),
    output:
        svg=figure_file(LINEAR_FIGURE, "svg"),
        png=figure_file(LINEAR_FIGURE, "png"),
    log:
        log_file("figure_c13"),
    benchmark:
        benchmark_file("figure_c13")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        settings={key: SETTINGS["linear_gaussian"][key] for key in ("ensemble_size", "weight_decay")},
        code=code("report/plot_linear"),
    message:
        "Figure C.13: distance from the exact filter on a linear-Gaussian system"
    script:
        "../workflow_scripts/report/plot_linear.py"
