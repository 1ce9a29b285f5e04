# The sentences of the paper that are claims, and whether they hold in this run.


def claim_settings():
    """What decides verdicts besides the scores."""
    return {"scale": CONFIG.scale, "seed": CONFIG.seed, "training_size": CONFIG.training.ensemble_size}


rule claims:
    input:
        scores=rules.score_filters.output.scores,
        trajectories=rules.score_filters.output.trajectories,
        curves=rules.score_filters.input.curves,
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
        runtime=10,
        mem_mb=2000,
    params:
        settings=claim_settings(),
        code=code("judge_claims"),
    message:
        "Judge the claims of the paper"
    script:
        "../workflow_scripts/judge_claims.py"
