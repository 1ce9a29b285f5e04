# Beyond the paper: mnmef_conv, trained on 40 variables, on Lorenz '96 with up to 40,000. Time it with --cores 1.


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
        runtime=growing(480),
        mem_mb=growing(8000),
    params:
        settings=scaling_conv_settings,
        code=code("studies/scale_learned"),
    message:
        "mnmef_conv on {wildcards.state_size} variables"
    script:
        "../workflow_scripts/studies/scale_learned.py"


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
        runtime=growing(480),
        mem_mb=growing(8000),
    params:
        settings=scaling_settings,
        code=code("studies/scale_baseline"),
    message:
        "LETKF ({wildcards.engine}) on {wildcards.state_size} variables"
    script:
        "../workflow_scripts/studies/scale_baseline.py"


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
        code=code("report/plot_scaling"),
    message:
        "Error, time and memory against the number of variables"
    script:
        "../workflow_scripts/report/plot_scaling.py"
