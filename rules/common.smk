# The checked config and the functions that the stages share; no rules.

import difflib
import re
import sys
from pathlib import Path

from snakemake.cli import get_argument_parser
from snakemake.exceptions import WorkflowError

from mnmef.config import settings
from mnmef.config.loading import ConfigError, load_config, write_config
from mnmef.io.digest import code_digest
from mnmef.data.published import load_searches
from mnmef.config.schema import GRIDDED_SYSTEMS, SPLITS

try:
    CONFIG = load_config(config, overrides=workflow.config_settings.overwrite_config)
except ConfigError as error:
    raise WorkflowError(f"The config cannot be used.\n{error}") from None

SETTINGS = CONFIG.model_dump()
config.update(SETTINGS)
NOISE = [str(level) for level in CONFIG.noise_levels]
LEARNED = {"mnmef_pretrained": "mnmef", "mnmef_tuned": "mnmef", "mnmef_conv": "mnmef_conv"}
"""Methods of learned filters, and which filter each is."""
OWN = "mnmef_own"
"""The method name of checkpoints that the user brings: config key `own_weights`."""
FIGURES = {1: "lorenz96", 2: "lorenz96", 3: "lorenz96", 4: "ks", 5: "ks", 6: "ks", 7: "lorenz63", "c12": "ks"}
TUNING_FIGURE, LINEAR_FIGURE = 11, "c13"
CALIBRATION_FIGURES = ("calibration_rank_histograms", "calibration_spread_skill")
SCORE_FIGURES = (1, 4, 7)
SEARCH_FIGURE = "c12"
PANEL_NOISE = "1.0"
PIECES = 1000 if CONFIG.training.time_limit is not None and workflow.is_main_process else None
"""Retries of a training: each goes on, in a job of its own, after its time limit. None: as others."""


wildcard_constraints:
    system="[a-z0-9]+",
    split="|".join(SPLITS),
    sigma_y=r"\d+\.\d+",
    members=r"\d+",
    method="(?!mnmef)[a-z0-9_]+",
    learned="mnmef_[a-z0-9]+",
    trained="pretrained|conv",
    training=r"\d+",
    parameters="heads|all",


# Files


def results(path):
    """`path` below the results of the scale in use; results of different scales never mix."""
    return f"results/{CONFIG.scale}/{path}"


def log_file(stem):
    """The log of a job."""
    return results(f"logs/{stem}.log")


def benchmark_file(stem):
    """Time and memory of a job, as Snakemake measures them."""
    return results(f"benchmarks/{stem}.tsv")


def split_file(split):
    """The file of a split, with the wildcard `system` left open."""
    return expand(rules.simulate_data.output.dataset, split=split, allow_missing=True)[0]


def figure_file(number, suffix):
    """The file of a figure, marked for the report."""
    return shown(results(f"figures/figure_{number}.{suffix}"))


# Params: each rule gets the smallest part of the config that decides its outputs, and a digest of its code.


def code(script):
    """Changes when an edit of `script`, or of a module that it imports, could change a result."""
    return code_digest(f"workflow_scripts/{script}.py", workflow.basedir)


def data_settings(wildcards):
    """What decides the content of a split."""
    section = settings.for_system(SETTINGS["data"][wildcards.split], wildcards.system)
    if wildcards.split == "train":
        return section
    return {**section, "noise_levels": SETTINGS["noise_levels"], "members": SETTINGS["data"]["members"]}


def tuning_settings(wildcards):
    """What decides a search, besides its data, and where it keeps its scores until it is complete."""
    return {
        "tuning": settings.for_system(SETTINGS["tuning"], wildcards.system),
        **{name: SETTINGS[name] for name in ("ensemble_sizes", "seed")},
        "partial": results("resume/tuning_{system}_{sigma_y}_{method}.json").format(**wildcards),
    }


def published_settings(wildcards):
    """What decides a published search done again, and where it keeps its scores until it is complete."""
    return {
        **{name: SETTINGS[name] for name in ("published", "ensemble_sizes", "seed")},
        "partial": results("resume/published_{system}_{sigma_y}_{method}.json").format(**wildcards),
    }


def training_settings(wildcards):
    """What decides the weights that a training ends with, besides its data, and where it leaves its resume files."""
    folder = results(f"resume/{wildcards.system}_{wildcards.sigma_y}")
    name = "mnmef_conv" if wildcards.get("trained") == "conv" else "mnmef"
    return settings.training_settings(SETTINGS, wildcards.system, name) | {"resume_folder": folder}


def finetuning_settings(wildcards):
    """As `training_settings`, with the section on fine-tuning but for `keep`, which is in the inputs."""
    section = settings.for_system(SETTINGS["finetuning"], wildcards.system)
    return {**training_settings(wildcards), "finetuning": {key: section[key] for key in section if key != "keep"}}


def evaluation_settings():
    """What decides an evaluation besides its inputs."""
    return {"options": SETTINGS["evaluation"], "seed": CONFIG.seed}


def learned_evaluation_settings(wildcards):
    """As `evaluation_settings`, with the filter, its network and its ensemble sizes."""
    name = LEARNED.get(wildcards.learned, "mnmef")
    return evaluation_settings() | {
        "filter_name": name,
        "model": settings.model_settings(SETTINGS, wildcards.system, name),
        "ensemble_sizes": CONFIG.ensemble_sizes,
    }


# Inputs


def shipped_file(stem, cell):
    """A file of weights that comes with the repository."""
    return f"resources/weights/{cell.system}_{cell.sigma_y}/{stem}.safetensors"


def base_files(wildcards):
    """What weights need that are heads only."""
    heads_only = CONFIG.weights == "shipped" and wildcards.learned == "mnmef_tuned"
    return [shipped_file("pretrained", wildcards)] if heads_only else []


def baseline_cells():
    """The wildcards of all classical cells, as lists of equal length for `expand(..., zip)`."""
    cells = [(s, y, m) for s in CONFIG.systems for y in NOISE for m in CONFIG.baselines[s]]
    return {name: [cell[i] for cell in cells] for i, name in enumerate(("system", "sigma_y", "method"))}


def published_cells():
    """The wildcards of all published searches of the systems, noise levels and sizes in use, for `expand(..., zip)`."""
    table = load_searches("resources/published/dapper_grid_search_best.csv")
    for column, used in (("system", "systems"), ("sigma_y", "noise_levels"), ("ensemble_size", "ensemble_sizes")):
        table = table[table[column].isin(SETTINGS[used])]
    return table[["system", "sigma_y", "method"]].drop_duplicates().astype(str).to_dict("list")


def learned_cells():
    """The wildcards of all learned cells, for `expand(..., zip)`: mnmef_conv on systems with a grid."""
    methods = [
        (system, method)
        for system in CONFIG.systems
        for method, name in LEARNED.items()
        if name in CONFIG.learned and (name == "mnmef" or system in GRIDDED_SYSTEMS)
    ]
    cells = [(system, level, method) for system, method in methods for level in NOISE]
    return {name: [cell[i] for cell in cells] for i, name in enumerate(("system", "sigma_y", "learned"))}


def trained_files():
    """Weights and curves of all learned filters."""
    cells = [cell for cell in zip(*learned_cells().values()) if cell[2] != "mnmef_tuned"]
    files = [
        expand(rules.train_filter.output, system=s, sigma_y=y, trained=m.removeprefix("mnmef_")) for s, y, m in cells
    ]
    tuned = (
        expand(rules.finetune_filter.output, system=CONFIG.systems, sigma_y=NOISE, members=CONFIG.ensemble_sizes)
        if "mnmef" in CONFIG.learned
        else []
    )
    return sum(files, []) + tuned


def pretrained_file():
    """The checkpoint that fine-tuning starts from, with the other wildcards left open."""
    return expand(rules.train_filter.output.weights, trained="pretrained", allow_missing=True)[0]


def finetuning_files():
    """What fine-tuning starts from, and the tuning split if it decides which weights are kept."""
    tune = split_file("tune") if CONFIG.finetuning.keep == "better" else []
    return {"dataset": split_file("train"), "pretrained": pretrained_file(), "tune": tune}


def weights_files(wildcards):
    """The checkpoint of a learned method for each ensemble size, or the one for all of them."""
    if wildcards.learned == OWN:
        return [SETTINGS["own_weights"][f"{wildcards.system}_{wildcards.sigma_y}"]]
    trained = wildcards.learned.removeprefix("mnmef_")
    if CONFIG.weights == "shipped":
        heads = expand(shipped_file("heads_{members}", wildcards), members=CONFIG.ensemble_sizes)
        return heads if trained == "tuned" else [shipped_file(trained, wildcards)]
    if trained == "tuned":
        return expand(rules.finetune_filter.output.weights, **wildcards, members=CONFIG.ensemble_sizes)
    return expand(rules.train_filter.output.weights, **wildcards, trained=trained)


def evaluation_files():
    """The evaluations of all filters, classical and learned."""
    learned = expand(rules.evaluate_learned.output.scores, zip, **learned_cells())
    own = [results(f"evaluation/{cell}_{OWN}.nc") for cell in CONFIG.own_weights]
    return expand(rules.evaluate_baseline.output.scores, zip, **baseline_cells()) + learned + own


def curve_files(number):
    """Scores, published ones, and those of a very large ensemble, for a figure of curves against ensemble size."""
    levels = NOISE if CONFIG.reference.in_figures else []
    return {
        "scores": rules.score_filters.output.scores,
        "improvements": rules.score_filters.output.improvements,
        "published": rules.score_filters.input.curves,
        "references": expand(rules.run_reference.output.best, system=FIGURES[number], sigma_y=levels),
    }


def panel_files(number):
    """Truth and observations of a figure with panels, and the evaluations that it compares."""
    cell = {"system": FIGURES[number], "sigma_y": PANEL_NOISE}
    return {
        "dataset": expand(split_file("test"), **cell)[0],
        "learned": expand(rules.evaluate_learned.output.scores, **cell, learned="mnmef_pretrained")[0],
        "letkf": expand(rules.evaluate_baseline.output.scores, **cell, method="letkf")[0],
    }


def search_tables(number):
    """All scores and the choice of the search that a figure shows, and the published choices."""
    cell = {"system": FIGURES[number], "sigma_y": PANEL_NOISE, "method": "letkf"}
    tables = {name: expand(rules.tune_baseline.output[name], **cell)[0] for name in ("grid", "best")}
    return {**tables, "published": rules.tune_baseline.input.winners}


def search_files():
    """The figures of all searches of classical filters."""
    return expand(rules.plot_search.output, zip, **baseline_cells())


def figure_is_allowed(number):
    """Whether the config runs what a figure shows: its system and, but for curves of scores, LETKF's runs or search."""
    system = FIGURES[number]
    if system not in CONFIG.systems or number in SCORE_FIGURES:
        return system in CONFIG.systems
    panels = CONFIG.evaluation.traced.ensemble_size in CONFIG.ensemble_sizes and "mnmef" in CONFIG.learned
    traced = number == SEARCH_FIGURE or panels
    return traced and PANEL_NOISE in NOISE and "letkf" in CONFIG.baselines[system]


def figure_files():
    """The figures of the paper and on calibration that the config allows."""
    numbers = [number for number in FIGURES if figure_is_allowed(number)]
    numbers += [TUNING_FIGURE] if tuning_curves() else []
    numbers += [LINEAR_FIGURE] if "mnmef" in CONFIG.learned else []
    names = [f"figure_{number}" for number in numbers]
    names += CALIBRATION_FIGURES if CONFIG.evaluation.traced.ensemble_size in CONFIG.ensemble_sizes else []
    return expand(results("figures/{name}.{suffix}"), name=names, suffix=("svg", "png"))


# Figures 11 and C.13


def curve_settings(wildcards):
    """As `finetuning_settings`, with what is scored along the way."""
    curve = {key: SETTINGS["finetuning_curve"][key] for key in ("epochs", "cycles")}
    settings = {key: value for key, value in finetuning_settings(wildcards).items() if key != "resume_folder"}
    return settings | curve


def curve_weights(wildcards):
    """The checkpoint that the fine-tunings of figure 11 start from."""
    shipped = CONFIG.weights == "shipped"
    return shipped_file("pretrained", wildcards) if shipped else expand(pretrained_file(), **wildcards)[0]


def tuning_curves():
    """The fine-tunings of figure 11, if the config runs its filter, system and noise level."""
    part, system = CONFIG.finetuning_curve, "lorenz96"
    used = "mnmef" in CONFIG.learned and system in CONFIG.systems and part.sigma_y in CONFIG.noise_levels
    return expand(
        results("finetuning_curves/{system}_{sigma_y}_{members}_{parameters}.csv"),
        system=system,
        sigma_y=part.sigma_y,
        members=part.ensemble_sizes if used else [],
        parameters=("heads", "all"),
    )


def linear_settings():
    """What decides a run of figure C.13 besides its variant."""
    section = {key: value for key, value in SETTINGS["linear_gaussian"].items() if key != "losses"}
    model = {key: value for key, value in SETTINGS["model"].items() if key != "inflation"}
    return {"settings": section, "model": model, "seed": CONFIG.seed}


def linear_runs():
    """The runs of figure C.13: two references, and each loss without and with weight decay."""
    trained = [loss + suffix for loss in CONFIG.linear_gaussian.losses for suffix in ("", "_decay")]
    return expand(results("linear_gaussian/{variant}.nc"), variant=["sampling", "enkf", *trained])


# Scores, tables and claims


def seed_training_settings(wildcards):
    """As `training_settings`, with the root of the random streams moved on by the number of the training."""
    settings = training_settings(wildcards)
    return {**settings, "seed": settings["seed"] + int(wildcards.training) - 1}


def seed_evaluation_settings(wildcards):
    """As `learned_evaluation_settings`, at the ensemble size of the training alone."""
    return {**learned_evaluation_settings(wildcards), "ensemble_sizes": [CONFIG.training.ensemble_size]}


def seed_files(output):
    """The files that `output` names for the further trainings: none where nothing is trained, or where the first
    training is not scored at this ensemble size.
    """
    chosen = CONFIG.training_seeds
    trained = CONFIG.weights == "train" and "mnmef" in CONFIG.learned
    scored = CONFIG.training.ensemble_size in CONFIG.ensemble_sizes
    return expand(
        output,
        system=[system for system in CONFIG.systems if system in chosen.systems],
        sigma_y=[str(level) for level in CONFIG.noise_levels if level in chosen.noise_levels],
        learned="mnmef_pretrained",
        training=range(2, chosen.count + 1) if trained and scored else [],
    )


def score_tables(*names):
    """The files of tables that come from the same scores."""
    return {name: results(f"{name}.csv") for name in names}


def table_file(number, suffix):
    """The file of a table."""
    return results(f"tables/table_{number}.{suffix}")


def claim_settings():
    """What decides verdicts besides the scores."""
    return {"scale": CONFIG.scale, "seed": CONFIG.seed, "training_size": CONFIG.training.ensemble_size}


# Targets


def requested_targets():
    """The targets on Snakemake's command line; none where Snakemake was started in another way."""
    if Path(sys.argv[0]).name not in ("snakemake", "snakemake.exe", "__main__.py"):
        return []
    return get_argument_parser().parse_known_args(sys.argv[1:])[0].targets or []


def check_targets(workflow, files):
    """Stop with the nearest valid name if a requested target is neither a rule nor one of `files`, those of this scale."""
    known = sorted({str(file) for file in files} | {rule.name for rule in workflow.rules})
    for target in requested_targets() if workflow.is_main_process else []:
        name = Path(target).as_posix()
        if name in known:
            continue
        scale = re.match("results/([^/]+)/", name)
        if scale and scale[1] != CONFIG.scale and scale[1] in config["scales"]:
            raise WorkflowError(
                f"{name} belongs to scale {scale[1]}, not to {CONFIG.scale}: add --config scale={scale[1]}"
            )
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise WorkflowError(f"Unknown target {name}.{hint} `snakemake --list` shows the named targets.")
