# Pretrainings again from other seeds (config key `training_seeds`), scored at the ensemble size of the training: how much
# of a result is the seed. The first training is that of rule train_filter; these are the second and further ones.


use rule train_filter as train_seed with:
    output:
        weights=results("training/{system}_{sigma_y}/pretrained_seed_{training}.safetensors"),
        curve=results("training/{system}_{sigma_y}/pretrained_seed_{training}_curve.csv"),
    log:
        log_file("train_seed/{system}_{sigma_y}_{training}"),
    benchmark:
        benchmark_file("train_seed/{system}_{sigma_y}_{training}")
    params:
        settings=seed_training_settings,
        code=code("learning/train_filter"),
    message:
        "Training {wildcards.training} of the learned filter on {wildcards.system}, sigma_y = {wildcards.sigma_y}"


use rule evaluate_learned as evaluate_seed with:
    input:
        dataset=rules.evaluate_learned.input.dataset,
        weights=[rules.train_seed.output.weights],
    output:
        scores=results("seeds/{system}_{sigma_y}_{learned}_{training}.nc"),
    log:
        log_file("evaluate_seed/{system}_{sigma_y}_{learned}_{training}"),
    benchmark:
        benchmark_file("evaluate_seed/{system}_{sigma_y}_{learned}_{training}")
    params:
        settings=seed_evaluation_settings,
        code=code("evaluation/evaluate_learned"),
    message:
        "Evaluate training {wildcards.training} of {wildcards.learned} on {wildcards.system}, {wildcards.sigma_y}"
