# Functions of rules/data.smk: inputs and params of its rules; no rules.


def data_settings(wildcards):
    """Params of a split."""
    section = SETTINGS[wildcards.experiment]["data"]
    split = section[wildcards.split]
    if wildcards.split == "train":
        return split
    return {**split, "noise_levels": CONFIG.noise_levels, "members": section["members"]}
