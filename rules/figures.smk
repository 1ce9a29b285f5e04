# Figures 1 to 7 and C.12 of the paper, each a target of its own: `snakemake --cores all figure_3`; and all others like C.12.


rule figure_1:
    input:
        **curve_files(1),
    output:
        svg=figure_file(1, "svg"),
        png=figure_file(1, "png"),
    log:
        log_file("figure_1"),
    benchmark:
        benchmark_file("figure_1")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        system=FIGURES[1],
        code=code("report/plot_scores"),
    message:
        "Figure 1: R-RMSE and relative improvement on Lorenz '96"
    script:
        "../workflow_scripts/report/plot_scores.py"


use rule figure_1 as figure_4 with:
    input:
        **curve_files(4),
    output:
        svg=figure_file(4, "svg"),
        png=figure_file(4, "png"),
    log:
        log_file("figure_4"),
    benchmark:
        benchmark_file("figure_4")
    params:
        system=FIGURES[4],
        code=code("report/plot_scores"),
    message:
        "Figure 4: R-RMSE and relative improvement on Kuramoto-Sivashinsky"


use rule figure_1 as figure_7 with:
    input:
        **curve_files(7),
    output:
        svg=figure_file(7, "svg"),
        png=figure_file(7, "png"),
    log:
        log_file("figure_7"),
    benchmark:
        benchmark_file("figure_7")
    params:
        system=FIGURES[7],
        code=code("report/plot_scores"),
    message:
        "Figure 7: R-RMSE and relative improvement on Lorenz '63"


rule figure_2:
    input:
        **panel_files(2),
    output:
        svg=figure_file(2, "svg"),
        png=figure_file(2, "png"),
    log:
        log_file("figure_2"),
    benchmark:
        benchmark_file("figure_2")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        sigma_y=float(PANEL_NOISE),
        code=code("report/plot_fields"),
    message:
        "Figure 2: truth, observations, mean, error and spread on Lorenz '96"
    script:
        "../workflow_scripts/report/plot_fields.py"


use rule figure_2 as figure_5 with:
    input:
        **panel_files(5),
    output:
        svg=figure_file(5, "svg"),
        png=figure_file(5, "png"),
    log:
        log_file("figure_5"),
    benchmark:
        benchmark_file("figure_5")
    message:
        "Figure 5: truth, observations, mean, error and spread on Kuramoto-Sivashinsky"


rule figure_3:
    input:
        **panel_files(3),
    output:
        svg=figure_file(3, "svg"),
        png=figure_file(3, "png"),
    log:
        log_file("figure_3"),
    benchmark:
        benchmark_file("figure_3")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        sigma_y=float(PANEL_NOISE),
        code=code("report/plot_components"),
    message:
        "Figure 3: an observed and an unobserved component on Lorenz '96"
    script:
        "../workflow_scripts/report/plot_components.py"


use rule figure_3 as figure_6 with:
    input:
        **panel_files(6),
    output:
        svg=figure_file(6, "svg"),
        png=figure_file(6, "png"),
    log:
        log_file("figure_6"),
    benchmark:
        benchmark_file("figure_6")
    message:
        "Figure 6: an observed and an unobserved component on Kuramoto-Sivashinsky"


rule plot_search:
    input:
        grid=rules.tune_baseline.output.grid,
        best=rules.tune_baseline.output.best,
        published=rules.tune_baseline.input.winners,
    output:
        svg=results("figures/search_{system}_{sigma_y}_{method}.svg"),
        png=results("figures/search_{system}_{sigma_y}_{method}.png"),
    log:
        log_file("plot_search/{system}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("plot_search/{system}_{sigma_y}_{method}")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("search/plot_search"),
    message:
        "Search of {wildcards.method} on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/search/plot_search.py"


use rule plot_search as figure_c12 with:
    input:
        **search_tables(SEARCH_FIGURE),
    output:
        svg=figure_file(SEARCH_FIGURE, "svg"),
        png=figure_file(SEARCH_FIGURE, "png"),
    log:
        log_file("figure_c12"),
    benchmark:
        benchmark_file("figure_c12")
    message:
        "Figure C.12: search for inflation and localization radius of LETKF on Kuramoto-Sivashinsky"
