# Figure 11: R-RMSE along fine-tunings of the heads alone and of all parameters. The scores choose nothing.


rule score_finetuning:
    input:
        train=split_file("train"),
        test=split_file("test"),
        pretrained=curve_weights,
    output:
        table=results("finetuning_curves/{system}_{sigma_y}_{members}_{parameters}.csv"),
    log:
        log_file("score_finetuning/{system}_{sigma_y}_{members}_{parameters}"),
    benchmark:
        benchmark_file("score_finetuning/{system}_{sigma_y}_{members}_{parameters}")
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        runtime=growing(480),
        mem_mb=growing(6000),
    params:
        settings=curve_settings,
        code=code("studies/score_finetuning"),
    message:
        "Fine-tune {wildcards.parameters} on {wildcards.system} at N = {wildcards.members}, scored along the way"
    script:
        "../workflow_scripts/studies/score_finetuning.py"


rule figure_11:
    input:
        curves=tuning_curves(),
        published="resources/published/finetune_strategy_figure_11.csv",
    output:
        table=results("tables/figure_11.csv"),
        svg=figure_file(TUNING_FIGURE, "svg"),
        png=figure_file(TUNING_FIGURE, "png"),
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
        code=code("report/plot_finetuning"),
    message:
        "Figure 11: R-RMSE against fine-tuning epoch, heads only and all parameters"
    script:
        "../workflow_scripts/report/plot_finetuning.py"
