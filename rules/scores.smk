# R-RMSE of all filters with intervals, and every published number beside ours.


rule score_filters:
    input:
        evaluations=evaluation_files(),
        trainings=seed_files(rules.evaluate_seed.output),
        curves=PUBLISHED_CURVES,
        searches=PUBLISHED_SEARCHES,
    output:
        **score_tables("scores", "reproduction", "trajectories", "improvements", "seeds"),
    log:
        log_file("score_filters"),
    benchmark:
        benchmark_file("score_filters")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        seed=CONFIG.seed,
        code=code("scores/score_filters"),
    message:
        "Score all filters"
    script:
        "../workflow_scripts/scores/score_filters.py"
