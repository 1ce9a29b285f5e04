# Functions of rules/search.smk: inputs and params of its rules; no rules.


def search_settings(wildcards):
    """Params of a search, besides its data, and the file of its scores until it is complete."""
    section = SETTINGS[wildcards.experiment]["search"]
    return {
        "search": {key: section[key] for key in section if key != "protocol"},
        **chosen(wildcards, "ienks", "ensemble_sizes", "seed"),
        "partial": results("resume/search_{experiment}_{sigma_y}_{method}.json").format(**wildcards),
    }


def search_files():
    """The figures of all searches."""
    return expand(rules.plot_search.output, zip, **baseline_cells())
