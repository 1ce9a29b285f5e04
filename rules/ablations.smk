# Figures 9 and 10 of the paper: what the learned inflation is worth, and what the learned localization looks like.


use rule evaluate_learned as evaluate_other_inflation with:
    output:
        scores=results("inflation/{system}_{sigma_y}_{learned}.nc"),
    log:
        log_file("evaluate_other_inflation/{system}_{sigma_y}_{learned}"),
    benchmark:
        benchmark_file("evaluate_other_inflation/{system}_{sigma_y}_{learned}")
    params:
        settings=other_inflation_settings,
        code=code("evaluation/evaluate_learned"),
    message:
        "Evaluate {wildcards.learned}, its inflation switched, on {wildcards.system}, sigma_y = {wildcards.sigma_y}"


rule figure_9:
    input:
        runs=inflation_runs(),
        published="resources/published/inflation_ablation_figure_9.csv",
    output:
        table=results("tables/figure_9.csv"),
        svg=figure_file(9, "svg"),
        png=figure_file(9, "png"),
    log:
        log_file("figure_9"),
    benchmark:
        benchmark_file("figure_9")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        seed=CONFIG.seed,
        code=code("report/plot_inflation"),
    message:
        "Figure 9: R-RMSE on Kuramoto-Sivashinsky with and without the learned inflation"
    script:
        "../workflow_scripts/report/plot_inflation.py"


rule record_localization:
    input:
        dataset=rules.evaluate_learned.input.dataset,
        best=expand(rules.tune_baseline.output.best, method="letkf", allow_missing=True)[0],
        weights=weights_files,
        base=base_files,
    output:
        record=results("localization/{system}_{sigma_y}_{learned}.nc"),
    log:
        log_file("record_localization/{system}_{sigma_y}_{learned}"),
    benchmark:
        benchmark_file("record_localization/{system}_{sigma_y}_{learned}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(60),
        mem_mb=growing(4000),
    params:
        settings=localization_settings,
        code=code("studies/record_localization"),
    message:
        "Record learned localization weights on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/studies/record_localization.py"


rule figure_10:
    input:
        runs=localization_runs(),
    output:
        table=results("tables/figure_10.csv"),
        svg=figure_file(10, "svg"),
        png=figure_file(10, "png"),
    log:
        log_file("figure_10"),
    benchmark:
        benchmark_file("figure_10")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("report/plot_localization"),
    message:
        "Figure 10: learned localization weights against distance, beside LETKF's taper"
    script:
        "../workflow_scripts/report/plot_localization.py"
