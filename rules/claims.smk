# The sentences of the paper that are claims, and whether they hold in this run.


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
        code=code("report/judge_claims"),
    message:
        "Judge the claims of the paper"
    script:
        "../workflow_scripts/report/judge_claims.py"
