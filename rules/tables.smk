# Tables of the paper, each a target of its own: `snakemake --cores all table_4`. Each comes twice, as
# tables/table_<number>.csv for programs and as tables/table_<number>.md for readers (mnmef/tables.py).


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
        code=code("table_deviations"),
    message:
        "Table 4: standard deviation of R-RMSE over test trajectories"
    script:
        "../workflow_scripts/table_deviations.py"
