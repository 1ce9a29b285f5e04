# Calibration of all filters, which the paper does not show.


rule calibration_rank_histograms:
    input:
        evaluations=evaluation_files(),
    output:
        svg=results("figures/calibration_rank_histograms.svg"),
        png=shown(results("figures/calibration_rank_histograms.png")),
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
        code=code("report/plot_ranks"),
    message:
        "Rank histograms of all filters"
    script:
        "../workflow_scripts/report/plot_ranks.py"


rule calibration_spread_skill:
    input:
        scores=rules.score_filters.output.scores,
        evaluations=evaluation_files(),
    output:
        svg=results("figures/calibration_spread_skill.svg"),
        png=shown(results("figures/calibration_spread_skill.png")),
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
        code=code("report/plot_spread_skill"),
    message:
        "Spread against error of all filters, and coverage"
    script:
        "../workflow_scripts/report/plot_spread_skill.py"
