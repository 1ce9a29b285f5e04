# Functions of rules/assimilation.smk: inputs and params of its rules; no rules.


def check_assimilations():
    """Refuse weights that do not fit the experiment whose observations they are to assimilate."""
    entries = [entry for entry in CONFIG.assimilations.values() if entry.weights]
    if entries:
        from mnmef.learning.checkpoints import filter_served  # loads torch
    for entry in entries:
        filter_served(entry.weights, RUN.descriptions[entry.experiment], entry.sigma_y)


checked("assimilations", check_assimilations)


def assimilation_entry(wildcards):
    """What the config says of an assimilation."""
    return CONFIG.assimilations[wildcards.assimilation].model_dump()


def filter_entry(wildcards):
    """The same without what concerns its statistics alone."""
    return {key: value for key, value in assimilation_entry(wildcards).items() if key != "burn_in"}


def assimilation_files(wildcards):
    """The files that an assimilation reads."""
    entry = assimilation_entry(wildcards)
    return [entry[key] for key in ("observations", "weights", "restart") if entry[key]]


def assimilated_experiment(wildcards):
    """The description of the experiment of an assimilation."""
    return RUN.descriptions[assimilation_entry(wildcards)["experiment"]]
