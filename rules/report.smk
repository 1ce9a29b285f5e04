# Figures and tables, each a target of its own: `snakemake --cores all figure_3`; the verdicts on the paper's claims; and
# all of them on one page. Curves and panels exist for every experiment (figures/curves_*.png, fields_*, components_*); those
# of the paper are names for some of them.


rule plot_curves:
    input:
        unpack(curve_files),
    output:
        svg=results("figures/curves_{experiment}.svg"),
        png=results("figures/curves_{experiment}.png"),
    log:
        log_file("plot_curves/{experiment}"),
    benchmark:
        benchmark_file("plot_curves/{experiment}")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        experiment=named,
        code=code("report/plot_curves"),
    message:
        "R-RMSE and relative improvement on {wildcards.experiment}"
    script:
        "../workflow_scripts/report/plot_curves.py"


use rule plot_curves as figure_1 with:
    input:
        **curve_files(Cell(experiment=FIGURES[1])),
    output:
        **drawn("figure_1"),
    log:
        log_file("figure_1"),
    benchmark:
        benchmark_file("figure_1")
    params:
        experiment=FIGURES[1],
        code=code("report/plot_curves"),
    message:
        "Figure 1: R-RMSE and relative improvement on Lorenz '96, to {output[0]}"


use rule plot_curves as figure_4 with:
    input:
        **curve_files(Cell(experiment=FIGURES[4])),
    output:
        **drawn("figure_4"),
    log:
        log_file("figure_4"),
    benchmark:
        benchmark_file("figure_4")
    params:
        experiment=FIGURES[4],
        code=code("report/plot_curves"),
    message:
        "Figure 4: R-RMSE and relative improvement on Kuramoto-Sivashinsky, to {output[0]}"


use rule plot_curves as figure_7 with:
    input:
        **curve_files(Cell(experiment=FIGURES[7])),
    output:
        **drawn("figure_7"),
    log:
        log_file("figure_7"),
    benchmark:
        benchmark_file("figure_7")
    params:
        experiment=FIGURES[7],
        code=code("report/plot_curves"),
    message:
        "Figure 7: R-RMSE and relative improvement on Lorenz '63, to {output[0]}"


rule plot_fields:
    input:
        unpack(panel_files),
    output:
        svg=results("figures/fields_{experiment}_{sigma_y}.svg"),
        png=results("figures/fields_{experiment}_{sigma_y}.png"),
    log:
        log_file("plot_fields/{experiment}_{sigma_y}"),
    benchmark:
        benchmark_file("plot_fields/{experiment}_{sigma_y}")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        settings=panel_settings,
        code=code("report/plot_fields"),
    message:
        "Truth, observations, mean, error and spread on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/report/plot_fields.py"


use rule plot_fields as figure_2 with:
    input:
        **allowed_panels(2),
    output:
        **drawn("figure_2"),
    log:
        log_file("figure_2"),
    benchmark:
        benchmark_file("figure_2")
    priority: 1
    params:
        settings=panel_settings(panel_cell(2)) if figure_is_allowed(2) else {},
        code=code("report/plot_fields"),
    message:
        "Figure 2: truth, observations, mean, error and spread on Lorenz '96, to {output[0]}"


use rule plot_fields as figure_5 with:
    input:
        **allowed_panels(5),
    output:
        **drawn("figure_5"),
    log:
        log_file("figure_5"),
    benchmark:
        benchmark_file("figure_5")
    params:
        settings=panel_settings(panel_cell(5)) if figure_is_allowed(5) else {},
        code=code("report/plot_fields"),
    message:
        "Figure 5: truth, observations, mean, error and spread on Kuramoto-Sivashinsky, to {output[0]}"


rule plot_components:
    input:
        unpack(panel_files),
    output:
        svg=results("figures/components_{experiment}_{sigma_y}.svg"),
        png=results("figures/components_{experiment}_{sigma_y}.png"),
    log:
        log_file("plot_components/{experiment}_{sigma_y}"),
    benchmark:
        benchmark_file("plot_components/{experiment}_{sigma_y}")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        settings=panel_settings,
        code=code("report/plot_components"),
    message:
        "An observed and an unobserved component on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/report/plot_components.py"


use rule plot_components as figure_3 with:
    input:
        **allowed_panels(3),
    output:
        **drawn("figure_3"),
    log:
        log_file("figure_3"),
    benchmark:
        benchmark_file("figure_3")
    priority: 1
    params:
        settings=panel_settings(panel_cell(3)) if figure_is_allowed(3) else {},
        code=code("report/plot_components"),
    message:
        "Figure 3: an observed and an unobserved component on Lorenz '96, to {output[0]}"


use rule plot_components as figure_6 with:
    input:
        **allowed_panels(6),
    output:
        **drawn("figure_6"),
    log:
        log_file("figure_6"),
    benchmark:
        benchmark_file("figure_6")
    params:
        settings=panel_settings(panel_cell(6)) if figure_is_allowed(6) else {},
        code=code("report/plot_components"),
    message:
        "Figure 6: an observed and an unobserved component on Kuramoto-Sivashinsky, to {output[0]}"


rule figure_8:
    input:
        runs=expand(rules.time_filters.output.table, experiment=timed_experiments()),
        published=published_file("seconds_per_step_figure_8"),
    output:
        **drawn("figure_8"),
        table=results("tables/figure_8.csv"),
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
        code=code("report/figure_8"),
    message:
        "Figure 8: wall time of a cycle against ensemble size, to {output[0]}"
    script:
        "../workflow_scripts/report/figure_8.py"


rule figure_9:
    input:
        runs=inflation_runs(),
        published=published_file("inflation_ablation_figure_9"),
    output:
        **drawn("figure_9"),
        table=results("tables/figure_9.csv"),
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
        code=code("report/figure_9"),
    message:
        "Figure 9: R-RMSE on Kuramoto-Sivashinsky with and without the learned inflation, to {output[0]}"
    script:
        "../workflow_scripts/report/figure_9.py"


rule figure_10:
    input:
        runs=localization_runs(),
    output:
        **drawn("figure_10"),
        table=results("tables/figure_10.csv"),
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
        code=code("report/figure_10"),
    message:
        "Figure 10: learned localization weights against distance, beside LETKF's taper, to {output[0]}"
    script:
        "../workflow_scripts/report/figure_10.py"


rule figure_11:
    input:
        curves=finetuning_curves(),
        published=published_file("finetune_strategy_figure_11"),
    output:
        **drawn("figure_11"),
        table=results("tables/figure_11.csv"),
    log:
        log_file("figure_11"),
    benchmark:
        benchmark_file("figure_11")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        settings={"cycles": CONFIG.finetuning_curve.cycles, "seed": CONFIG.seed},
        code=code("report/figure_11"),
    message:
        "Figure 11: R-RMSE against fine-tuning epoch, heads only and all parameters, to {output[0]}"
    script:
        "../workflow_scripts/report/figure_11.py"


rule figure_c13:
    input:
        runs=linear_runs(),
    output:
        **drawn("figure_c13"),
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
        ensemble_size=CONFIG.linear_gaussian.ensemble_size,
        code=code("report/figure_c13"),
    message:
        "Figure C.13: distance from the exact filter on a linear-Gaussian system, to {output[0]}"
    script:
        "../workflow_scripts/report/figure_c13.py"


rule calibration_rank_histograms:
    input:
        evaluations=evaluation_files(),
    output:
        **drawn("calibration_rank_histograms"),
    log:
        log_file("calibration_rank_histograms"),
    benchmark:
        benchmark_file("calibration_rank_histograms")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        members=CONFIG.evaluation.traced.ensemble_size,
        code=code("report/calibration_rank_histograms"),
    message:
        "Rank histograms of all filters"
    script:
        "../workflow_scripts/report/calibration_rank_histograms.py"


rule calibration_spread_skill:
    input:
        scores=rules.score_filters.output.scores,
        evaluations=evaluation_files(),
    output:
        **drawn("calibration_spread_skill"),
    log:
        log_file("calibration_spread_skill"),
    benchmark:
        benchmark_file("calibration_spread_skill")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        members=CONFIG.evaluation.traced.ensemble_size,
        code=code("report/calibration_spread_skill"),
    message:
        "Spread against error of all filters, and coverage"
    script:
        "../workflow_scripts/report/calibration_spread_skill.py"


rule table_4:
    input:
        scores=rules.score_filters.output.scores,
        searches=PUBLISHED_SEARCHES,
        texts=TABLE_TEXTS,
    output:
        **tabulated("table_4"),
    log:
        log_file("table_4"),
    benchmark:
        benchmark_file("table_4")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("report/table_4"),
    message:
        "Table 4: standard deviation of R-RMSE over test trajectories"
    script:
        "../workflow_scripts/report/table_4.py"


rule table_5:
    input:
        weights=rules.list_weights.output.table,
        published=published_file("parameters_table_5"),
        texts=TABLE_TEXTS,
    output:
        **tabulated("table_5"),
    log:
        log_file("table_5"),
    benchmark:
        benchmark_file("table_5")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("report/table_5"),
    message:
        "Table 5: parameters of the learned filters"
    script:
        "../workflow_scripts/report/table_5.py"


rule table_6:
    input:
        weights=rules.list_weights.output.table,
        published=published_file("training_hours_table_6"),
        texts=TABLE_TEXTS,
    output:
        **tabulated("table_6"),
    log:
        log_file("table_6"),
    benchmark:
        benchmark_file("table_6")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("report/table_6"),
    message:
        "Table 6: time of training and of fine-tuning"
    script:
        "../workflow_scripts/report/table_6.py"


rule claims:
    input:
        **study_tables(),
        scores=rules.score_filters.output.scores,
        trajectories=rules.score_filters.output.trajectories,
    output:
        table=results("claims.csv"),
        page=results("claims.md"),
    log:
        log_file("claims"),
    benchmark:
        benchmark_file("claims")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        settings=claim_settings(),
        code=code("report/claims"),
    message:
        "Judge the claims of the paper"
    script:
        "../workflow_scripts/report/claims.py"


rule results_page:
    input:
        **page_inputs(),
    output:
        page=results("README.md"),
        html=page_html(),
    log:
        log_file("results_page"),
    benchmark:
        benchmark_file("results_page")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        settings=page_settings(),
        code=code("report/results_page"),
    message:
        "Results page"
    script:
        "../workflow_scripts/report/results_page.py"
