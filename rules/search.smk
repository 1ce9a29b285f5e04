# Inflation and localization radius of the classical filters, chosen on the tuning split (section 5 of the paper).


rule search_baseline:
    input:
        dataset=split_file("tune"),
        winners=PUBLISHED_SEARCHES,
    output:
        grid=results("search/{experiment}_{sigma_y}_{method}_grid.csv"),
        best=results("search/{experiment}_{sigma_y}_{method}_best.csv"),
    log:
        log_file("search_baseline/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("search_baseline/{experiment}_{sigma_y}_{method}")
    priority: first_pictures
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(720),
        mem_mb=growing(4000),
    params:
        settings=search_settings,
        code=code("search/search_baseline"),
    message:
        "Search the hyperparameters of {wildcards.method} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/search/search_baseline.py"


# Names of filters of the user's fit both rules.
ruleorder: search_filter > search_baseline


rule search_filter:
    input:
        dataset=split_file("tune"),
    output:
        grid=results("search/{experiment}_{sigma_y}_{method}_grid.csv"),
        best=results("search/{experiment}_{sigma_y}_{method}_best.csv"),
    log:
        log_file("search_filter/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("search_filter/{experiment}_{sigma_y}_{method}")
    wildcard_constraints:
        method=OWN_FILTERS,
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(720),
        mem_mb=growing(4000),
    params:
        settings=own_search_settings,
        code=code("search/search_filter"),
    message:
        "Search the options of {wildcards.method} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/search/search_filter.py"


rule plot_search:
    input:
        grid=rules.search_baseline.output.grid,
        best=rules.search_baseline.output.best,
        published=rules.search_baseline.input.winners,
    output:
        svg=results("figures/search_{experiment}_{sigma_y}_{method}.svg"),
        png=results("figures/search_{experiment}_{sigma_y}_{method}.png"),
    log:
        log_file("plot_search/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("plot_search/{experiment}_{sigma_y}_{method}")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("search/plot_search"),
    message:
        "Search of {wildcards.method} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/search/plot_search.py"


use rule plot_search as figure_c12 with:
    input:
        **{
            name: expand(path, experiment=FIGURES["c12"], sigma_y=PANEL_NOISE, method="letkf")[0]
            for name, path in rules.plot_search.input.items()
        },
    output:
        **drawn("figure_c12"),
    log:
        log_file("figure_c12"),
    benchmark:
        benchmark_file("figure_c12")
    message:
        "Figure C.12: search for inflation and localization radius of LETKF on Kuramoto-Sivashinsky"
