# Tables of the paper, each a target of its own: `snakemake --cores all table_4`. Each comes twice, as
# tables/table_<number>.csv for programs and as tables/table_<number>.md for readers (mnmef/report/tables.py).


rule table_4:
    input:
        scores=rules.score_filters.output.scores,
        searches=rules.score_filters.input.searches,
    output:
        table=table_file(4, "csv"),
        page=table_file(4, "md"),
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
        code=code("report/table_deviations"),
    message:
        "Table 4: standard deviation of R-RMSE over test trajectories"
    script:
        "../workflow_scripts/report/table_deviations.py"


rule list_weights:
    input:
        weights=checkpoint_files(),
    output:
        table=results("weights.csv"),
    log:
        log_file("list_weights"),
    benchmark:
        benchmark_file("list_weights")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("learning/list_weights"),
    message:
        "List all checkpoints: parameters, time, hardware"
    script:
        "../workflow_scripts/learning/list_weights.py"


rule table_5:
    input:
        weights=rules.list_weights.output.table,
        published="resources/published/parameters_table_5.csv",
    output:
        table=table_file(5, "csv"),
        page=table_file(5, "md"),
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
        code=code("report/table_parameters"),
    message:
        "Table 5: parameters of the learned filters"
    script:
        "../workflow_scripts/report/table_parameters.py"


rule table_6:
    input:
        weights=rules.list_weights.output.table,
        published="resources/published/training_hours_table_6.csv",
    output:
        table=table_file(6, "csv"),
        page=table_file(6, "md"),
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
        code=code("report/table_times"),
    message:
        "Table 6: time of training and of fine-tuning"
    script:
        "../workflow_scripts/report/table_times.py"
