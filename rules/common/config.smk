# The checked config, names of files, and the params and checkpoints that several stages share; no rules.

import csv
import difflib
import hashlib
import itertools
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

from mnmef.config import settings
from mnmef.config.loading import load_config, write_config
from mnmef.core.names import CLASSICAL_METHODS, LEARNED_FILTERS, METHODS, method_of, serves_grid, use_filters
from mnmef.core.references import split_reference
from mnmef.experiments.files import outside_experiments
from mnmef.io.digest import code_digest
from mnmef.io.machine_code import move_caches
from mnmef.io.strict_yaml import read_yaml
from mnmef.report import results_page as pages


def published_file(stem):
    """A table of published numbers."""
    return str(CHECKOUT / f"resources/published/{stem}.csv")


def path_without_blanks(program):
    """A path of the Python in use without blanks: Snakemake starts scripts by a command in which it is not quoted.

    The way there is a link to the environment in a cache folder, or in that for temporary files.
    """
    program = Path(program)
    if not re.search(r"\s", str(program)):
        return str(program)
    name = f"mnmef-environment-{hashlib.sha256(str(program).encode()).hexdigest()[:16]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for folder in (cache, Path(tempfile.gettempdir())):
        link = folder / name
        if re.search(r"\s", str(link)):
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(program.parents[1])
            return str(link / "bin" / program.name)
        except OSError:
            continue
    raise WorkflowError(
        f"The path of Python, {program}, has blanks, with which Snakemake starts no job, and no link to it can be made "
        f"in {cache} or {tempfile.gettempdir()}: set XDG_CACHE_HOME to a folder without blanks that can be written."
    )


sys.executable = path_without_blanks(sys.executable)
moved = move_caches(Path(".snakemake/caches")) if workflow.is_main_process else []
if moved:
    print(f"The home folder cannot be written: caches ({', '.join(moved)}) are in .snakemake/caches", file=sys.stderr)

try:
    for file in workflow.configfiles if workflow.is_main_process else []:
        read_yaml(Path(file))  # Snakemake keeps the last of a key that stands twice
    RUN = load_config(config, overrides=workflow.config_settings.overwrite_config)
except ValueError as error:
    raise WorkflowError(f"The config cannot be used.\n{error}") from None

CONFIG = RUN.common
config.update(CONFIG.model_dump())
SETTINGS = {name: part.model_dump() for name, part in RUN.experiments.items()}
"""Per experiment, all keys."""
NOISE = [str(level) for level in CONFIG.noise_levels]
SPLITS = ("train", "tune", "test")
STAGES = ("pretrained", "finetuned", "own")
FIGURES = {1: "lorenz96", 2: "lorenz96", 3: "lorenz96", 4: "ks", 5: "ks", 6: "ks", 7: "lorenz63", "c12": "ks"}
"""Figures of the paper that show one experiment, and which."""
PANEL_NOISE = "1.0"
"""Noise level of panels and of figure C.12."""
PIECES = 1000 if CONFIG.training.time_limit is not None and workflow.is_main_process else None
"""Retries of a training: each goes on, in a job of its own, after its time limit. None: as others."""
CAPTIONS = str(CHECKOUT / "docs/captions")
TABLE_TEXTS = str(CHECKOUT / "mnmef/report/tables.yaml")
BEGUN = time.time()
RUN_PAGES = ("config", "versions", "run_times")
"""What the results page says of the run itself."""
PUBLISHED_CURVES = published_file("rrmse_figures_1_4_7")
PUBLISHED_SEARCHES = published_file("dapper_grid_search_best")


def checked(key, read):
    """What a function of files that a key of the config names returns; its errors end the run."""
    try:
        return read()
    except (OSError, ValueError) as error:
        raise WorkflowError(f"Config key {key} cannot be used.\n{error}") from None


def read_analyses():
    """The heads of the files of analyses, which must fit the config, by cell and name."""
    if not CONFIG.analyses:
        return {}
    from mnmef.evaluation.analyses import grouped_headers  # loads torch

    sizes = {name: part["data"]["test"] for name, part in SETTINGS.items()}
    return grouped_headers(CONFIG.analyses, sizes, CONFIG.noise_levels)


ANALYSES = checked("analyses", read_analyses)
use_filters((name for _, _, name in ANALYSES), "analyses")


wildcard_constraints:
    experiment="|".join(map(re.escape, RUN.experiments)),
    split="|".join(SPLITS),
    sigma_y=r"\d+\.\d+",
    members=r"\d+",
    method="|".join(METHODS),
    filter="|".join(LEARNED_FILTERS),
    stage="|".join(STAGES),
    seed=r"\d+",
    parameters="heads|all",
    state_size=r"\d+",
    assimilation="|".join(CONFIG.assimilations) or "none",


class Cell(dict):
    """Wildcards outside a rule: by attribute, and as keywords."""

    __getattr__ = dict.__getitem__


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
    """The file of a split, with the wildcard `experiment` left open."""
    return results(f"data/{{experiment}}_{split}.nc")


def category(stem):
    """Where the report shows a figure or table."""
    if stem in RUN_PAGES:
        return "Run"
    return stem.split("_")[0].capitalize() + ("" if stem.startswith(("claims", "calibration")) else "s")


def shown(path):
    """The figure or HTML page at `path`, marked for the report; a pattern for `expand`, which takes no marks, is not."""
    stem = Path(path).stem
    if "{" in path or Path(path).suffix not in (".png", ".html"):
        return path
    caption = pages.caption_file(stem, CAPTIONS)
    return report(
        path,
        caption=f"../docs/captions/{stem}.rst" if caption.exists() else None,
        category=category(stem),
        labels={"result": pages.menu_label(stem, caption.parent)},
    )


def drawn(stem):
    """The files of a figure, the picture marked for the report."""
    return {suffix: shown(results(f"figures/{stem}.{suffix}")) for suffix in ("svg", "png")}


def tabulated(stem):
    """The files of a table: for programs and for readers."""
    return {"table": results(f"tables/{stem}.csv"), "page": results(f"tables/{stem}.md")}


def score_tables(*names):
    """The files of tables of scores, by name."""
    return {name: results(f"{name}.csv") for name in names}


# Params: each rule gets the smallest part of the config that decides its outputs, and a digest of its code.


def code(script):
    """Changes when an edit of `script`, or of a module that it imports, could change a result; known for jobs only."""
    return lambda wildcards: code_digest(f"workflow_scripts/{script}.py", workflow.basedir)


def described(wildcards):
    """Description of an experiment: its system and observations."""
    return RUN.descriptions[wildcards.experiment]


def named(wildcards):
    """The name of the experiment."""
    return wildcards.experiment


def chosen(wildcards, *keys):
    """Some keys of an experiment's settings."""
    return {key: SETTINGS[wildcards.experiment][key] for key in keys}


def training_settings(wildcards):
    """Params of a training, besides its data, and the folder of its resume files."""
    folder = results(f"resume/{wildcards.experiment}_{wildcards.sigma_y}")
    cell = wildcards.get("filter", "mnmef"), float(wildcards.sigma_y)
    return settings.training_settings(SETTINGS[wildcards.experiment], *cell) | {"resume_folder": folder}


def finetuning_settings(wildcards):
    """As `training_settings`, with the section on fine-tuning but for `keep`, which is in the inputs."""
    section = SETTINGS[wildcards.experiment]["finetuning"]
    return {**training_settings(wildcards), "finetuning": {key: section[key] for key in section if key != "keep"}}


def model_settings(wildcards, filter_name):
    """The options of a filter's network."""
    return settings.model_settings(SETTINGS[wildcards.experiment], filter_name)


def first_pictures(wildcards):
    """Priority of a job: 1 if figures 2 and 3 need it, the first pictures to be seen, else 0."""
    if wildcards.get("experiment") != FIGURES[2] or "seed" in wildcards.keys():
        return 0
    method = SETTINGS[FIGURES[2]]["benchmark"]
    needed = {"sigma_y": PANEL_NOISE, "method": method, "filter": "mnmef", "stage": "pretrained"}
    return int(all(wildcards.get(name, value) == value for name, value in needed.items()))


# Cells: the wildcards of all jobs of a stage, as lists of equal length for `expand(..., zip)`


def columns(names, cells):
    """A list of tuples as a list for each name."""
    return {name: [cell[i] for cell in cells] for i, name in enumerate(names)}


def baseline_cells():
    """All searches of classical filters."""
    cells = [(e, y, m) for e in SETTINGS for y in NOISE for m in SETTINGS[e]["baselines"]]
    return columns(("experiment", "sigma_y", "method"), cells)


def filters_of(experiment):
    """The learned filters that the config runs on an experiment: those that serve its grid."""
    return [name for name in SETTINGS[experiment]["learned"] if serves_grid(name, RUN.descriptions[experiment]["grid"])]


def learned_cells():
    """All evaluations of learned filters, but for weights of the user's own."""
    cells = [
        (experiment, level, method.filter, method.stage)
        for experiment in SETTINGS
        for method in METHODS.values()
        if method.stage in ("pretrained", "finetuned") and method.filter in filters_of(experiment)
        for level in NOISE
    ]
    return columns(("experiment", "sigma_y", "filter", "stage"), cells)


# Checkpoints


def checkpoint(cell, filter, stage="pretrained", members=None):
    """The weights of a filter: those that come with the repository, or those that this run trains."""
    name = f"{filter}_{stage}" + ("" if members is None else f"_{members}")
    folder = str(CHECKOUT / "resources/weights") if CONFIG.weights == "shipped" else results("training")
    return f"{folder}/{cell.experiment}_{cell.sigma_y}/{name}.safetensors"


def own_filters():
    """The filters of the user's own weights by cell; weights that do not fit end the run."""
    if not CONFIG.own_weights:
        return {}
    from mnmef.learning.checkpoints import filter_served  # loads torch

    cells = {f"{name}_{level}": (RUN.descriptions[name], level) for name in SETTINGS for level in CONFIG.noise_levels}
    return {cell: filter_served(path, *cells[cell]) for cell, path in CONFIG.own_weights.items()}


def checkpoints(cell, filter=None, stage=None):
    """The weights of a method, by default of the one that the wildcards name: one for each ensemble size where it is
    fine-tuned, else one for all.
    """
    filter, stage = filter or cell.filter, stage or cell.stage
    if stage == "own":
        return [CONFIG.own_weights[f"{cell.experiment}_{cell.sigma_y}"]]
    sizes = CONFIG.ensemble_sizes if stage == "finetuned" else [None]
    return [checkpoint(cell, filter, stage, members) for members in sizes]


def base_of(cell, filter=None, stage=None):
    """Pretrained weights, where those of the fine-tuning are shipped as heads only."""
    heads_only = CONFIG.weights == "shipped" and (stage or cell.stage) == "finetuned"
    return [checkpoint(cell, filter or cell.filter)] if heads_only else []


OWN_WEIGHTS = checked("own_weights", own_filters)


# Experiments of the user's


def check_experiments():
    """Stop before the first job with what `python -m mnmef check` says of experiments of the user's; each is checked
    once, until it, its filters, stored truths or settings are edited.
    """
    for name in outside_experiments().keys() & RUN.experiments.keys():
        filters = SETTINGS[name]["filters"]
        files = [split_reference(entry["name"])[0] for entry in filters]
        parts = [RUN.descriptions[name], SETTINGS[name], CONFIG.noise_levels, CONFIG.seed]
        if (stored := SETTINGS[name]["trajectories"]) and os.path.exists(stored):
            parts.append(os.path.getmtime(stored))
        digest = hashlib.sha256(repr([*parts, *(code_digest(file, file.parent) for file in files)]).encode())
        passed = Path(".snakemake/mnmef_checked") / f"{name}_{digest.hexdigest()[:16]}"
        if passed.exists():
            continue
        from mnmef.assimilation.check import faults_of  # imports torch

        faults = faults_of(name, RUN)
        if faults:
            raise WorkflowError("\n".join([f"The experiment {name} cannot be used.", *faults]))
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()


# Targets


def check_targets(files, left_out):
    """Stop with the nearest valid name if a target is neither a rule nor one of `files`, those of this scale, and if it
    is one of the figures `left_out`, which have an experiment or filter that the config does not run.

    Snakemake knows its targets only after it has read the Snakefile. So the words of the command line are looked at,
    whatever they mean: those of options and their values are far from every name, but for a report's.
    """
    known = sorted({str(file) for file in files} | {rule.name for rule in workflow.rules})
    words = sys.argv if workflow.is_main_process else []
    written = ("--report", "--report-html-path")
    targets = [word for before, word in itertools.pairwise(words) if before not in written]
    for name in (Path(word).as_posix() for word in targets if "=" not in word and not word.startswith("-")):
        if Path(name).stem in left_out and (name in left_out or name.startswith("results/")):
            raise WorkflowError(
                f"{Path(name).stem} cannot be made with this config, which does not run all that it needs: "
                f"{left_out[Path(name).stem]}."
            )
        if name in known or Path(name).exists():
            continue
        scale = re.match("results/([^/]+)/", name)
        if scale and scale[1] != CONFIG.scale and scale[1] in config["scales"]:
            raise WorkflowError(
                f"{name} belongs to scale {scale[1]}, not to {CONFIG.scale}: add --config scale={scale[1]}"
            )
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        if near:
            raise WorkflowError(
                f"Unknown target {name}. Did you mean {near[0]}? `snakemake --list` shows the named targets."
            )
