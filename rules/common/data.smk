# Functions of rules/data.smk: inputs and params of its rules; no rules.


def stored_trajectories(wildcards):
    """The file of the user's truths, if the experiment has one."""
    return SETTINGS[wildcards.experiment]["trajectories"] or []


def data_settings(wildcards):
    """Params of a split: of stored trajectories, what is before it too."""
    section, stored = SETTINGS[wildcards.experiment]["data"], stored_trajectories(wildcards)
    names = SPLITS if stored else [wildcards.split]
    part = {"data": {name: section[name] for name in names}} | ({"trajectories": stored} if stored else {})
    if wildcards.split == "train":
        return part
    part["data"]["members"] = section["members"]
    return part | {"noise_levels": CONFIG.noise_levels}
