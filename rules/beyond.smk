# Beyond the paper, and so not part of `all`: the published baselines once more, a classical filter with a very large
# ensemble, filters away from what they were trained and tuned at, many more variables, and scores that the field knows.


rule search_published_baseline:
    input:
        winners=PUBLISHED_SEARCHES,
    output:
        table=results("published_baselines/{experiment}_{sigma_y}_{method}.csv"),
    log:
        log_file("published_baselines/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("published_baselines/{experiment}_{sigma_y}_{method}")
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(2880),
        mem_mb=growing(4000),
    params:
        description=described,
        settings=published_settings,
        code=code("beyond/search_published_baseline"),
    message:
        "Published grids of {wildcards.method} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/beyond/search_published_baseline.py"


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
        code=code("beyond/gather_published_baselines"),
    message:
        "Gather the published baselines and ours"
    script:
        "../workflow_scripts/beyond/gather_published_baselines.py"


rule run_reference:
    input:
        tune=split_file("tune"),
        test=split_file("test"),
    output:
        grid=results("reference/{experiment}_{sigma_y}_grid.csv"),
        best=results("reference/{experiment}_{sigma_y}_best.csv"),
    log:
        log_file("run_reference/{experiment}_{sigma_y}"),
    benchmark:
        benchmark_file("run_reference/{experiment}_{sigma_y}")
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(1440),
        mem_mb=growing(4000),
    params:
        settings=reference_settings,
        code=code("beyond/run_reference"),
    message:
        "Very large ensemble on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/beyond/run_reference.py"


rule tabulate_reference:
    input:
        runs=expand(rules.run_reference.output.best, experiment=list(SETTINGS), sigma_y=NOISE),
        texts=TABLE_TEXTS,
    output:
        **tabulated("reference"),
    log:
        log_file("tabulate_reference"),
    benchmark:
        benchmark_file("tabulate_reference")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("beyond/tabulate_reference"),
    message:
        "Table of very large ensembles"
    script:
        "../workflow_scripts/beyond/tabulate_reference.py"


rule run_conditions:
    input:
        source=robustness_source,
    output:
        table=results("robustness/{experiment}_{sigma_y}_{method}.csv"),
    log:
        log_file("run_conditions/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("run_conditions/{experiment}_{sigma_y}_{method}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        description=described,
        settings=robustness_settings,
        code=code("beyond/run_conditions"),
    message:
        "Robustness of {wildcards.method} on {wildcards.experiment}"
    script:
        "../workflow_scripts/beyond/run_conditions.py"


rule tabulate_robustness:
    input:
        runs=expand(rules.run_conditions.output.table, zip, **robustness_cells()),
        texts=TABLE_TEXTS,
    output:
        **tabulated("robustness"),
    log:
        log_file("tabulate_robustness"),
    benchmark:
        benchmark_file("tabulate_robustness")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        design=robustness_design(),
        code=code("beyond/tabulate_robustness"),
    message:
        "Robustness table"
    script:
        "../workflow_scripts/beyond/tabulate_robustness.py"


rule scale_learned:
    input:
        weights=checkpoint(scaling_cell(), "mnmef_local"),
    output:
        table=results("scaling/mnmef_local_{state_size}.csv"),
    log:
        log_file("scale_learned/{state_size}"),
    benchmark:
        benchmark_file("scale_learned/{state_size}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(480),
        mem_mb=growing(8000),
    params:
        description=RUN.descriptions.get(CONFIG.scaling.experiment),
        settings=scaling_local_settings,
        code=code("beyond/scale_learned"),
    message:
        "mnmef_local on {wildcards.state_size} variables"
    script:
        "../workflow_scripts/beyond/scale_learned.py"


rule scale_baseline:
    input:
        best=expand(rules.search_baseline.output.best, **scaling_cell(), method="letkf")[0],
    output:
        table=results("scaling/{engine}_{state_size}.csv"),
    log:
        log_file("scale_baseline/{engine}_{state_size}"),
    benchmark:
        benchmark_file("scale_baseline/{engine}_{state_size}")
    wildcard_constraints:
        engine="letkf|dapper",
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(480),
        mem_mb=growing(8000),
    params:
        description=RUN.descriptions.get(CONFIG.scaling.experiment),
        settings=scaling_settings,
        code=code("beyond/scale_baseline"),
    message:
        "LETKF ({wildcards.engine}) on {wildcards.state_size} variables"
    script:
        "../workflow_scripts/beyond/scale_baseline.py"


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
        code=code("beyond/scaling_dimension"),
    message:
        "Error, time and memory against the number of variables"
    script:
        "../workflow_scripts/beyond/scaling_dimension.py"


rule run_canonical:
    output:
        table=results("canonical/{setting}.csv"),
    log:
        log_file("run_canonical/{setting}"),
    benchmark:
        benchmark_file("run_canonical/{setting}")
    wildcard_constraints:
        setting="|".join(map(re.escape, CANONICAL)),
    conda:
        "../envs/baselines.yaml"
    threads: 1
    resources:
        runtime=growing(120),
        mem_mb=growing(4000),
    params:
        content=canonical_content,
        settings={"fraction": CONFIG.canonical.fraction, "seed": CONFIG.seed},
        code=code("beyond/run_canonical"),
    message:
        "Expected scores on {wildcards.setting}"
    script:
        "../workflow_scripts/beyond/run_canonical.py"


rule tabulate_canonical:
    input:
        runs=expand(rules.run_canonical.output.table, setting=CANONICAL),
    output:
        **tabulated("canonical"),
    log:
        log_file("tabulate_canonical"),
    benchmark:
        benchmark_file("tabulate_canonical")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("beyond/tabulate_canonical"),
    message:
        "Table of scores that the field knows"
    script:
        "../workflow_scripts/beyond/tabulate_canonical.py"
