# Functions of rules/search.smk: inputs and params of its rules; no rules.


def search_settings(wildcards):
    """Params of a search, besides its data, and the file of its scores until it is complete."""
    section = SETTINGS[wildcards.experiment]["search"]
    return {
        "search": {key: section[key] for key in section if key != "protocol"},
        **chosen(wildcards, "ienks", "ensemble_sizes", "seed"),
        "partial": results("resume/search_{experiment}_{sigma_y}_{method}.json").format(**wildcards),
    }


OWN_FILTERS, ANALYSES_NAMES = (
    "|".join(name for name, method in METHODS.items() if method.stage == stage) or "none"
    for stage in ("given", "analyses")
)
"""Patterns of the names of the user's filters, and of what made analyses elsewhere."""


def given_filters(experiment):
    """The entries of the key `filters`, by name."""
    return {split_reference(entry["name"])[1]: entry for entry in SETTINGS[experiment]["filters"]}


def own_filter(wildcards):
    """The entry of a filter of the user's, and a digest of its file."""
    entry = given_filters(wildcards.experiment)[wildcards.method]
    file = split_reference(entry["name"])[0]
    return {"entry": entry, "digest": code_digest(file, file.parent)}


def own_search_settings(wildcards):
    """Params of a search of a filter of the user's, besides its data, and the file of its scores until it is complete."""
    section = SETTINGS[wildcards.experiment]["search"]
    return {
        "search": {key: section[key] for key in ("trajectories", "cycles")},
        **chosen(wildcards, "ensemble_sizes", "seed"),
        **own_filter(wildcards),
        "partial": results("resume/search_{experiment}_{sigma_y}_{method}.json").format(**wildcards),
    }


def search_files():
    """The figures of all searches."""
    return expand(rules.plot_search.output, zip, **baseline_cells())
