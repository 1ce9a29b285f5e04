"""Contradictions between values of the config that are fine one by one."""

import re
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

from mnmef.config.outside import model_speaks_of
from mnmef.config.schema import RUN_WIDE, RUN_WIDE_PARTS, Config
from mnmef.core.errors import unknown_name
from mnmef.core.names import LOCALIZED_METHODS, METHODS, serves_grid
from mnmef.core.references import split_reference
from mnmef.experiments.description import describe
from mnmef.experiments.files import known_experiments, overlay

ONE_OF = {
    "robustness.sigma_y": "noise_levels",
    "robustness.ensemble_size": "ensemble_sizes",
    "finetuning_curve.sigma_y": "noise_levels",
    "scaling.sigma_y": "noise_levels",
    "scaling.ensemble_size": "ensemble_sizes",
    "evaluation.traced.ensemble_size": "ensemble_sizes",
}
"""Keys, and the lists that have their values. Where the user gives the list alone, what they are for is left out."""


def faults_of_run(config: Config, given: Mapping[str, Any]) -> Iterator[str]:
    """Name contradictions in the keys that all experiments of a run have in common; `given` are the user's own."""
    for key, known in ONE_OF.items():
        value, values = attrgetter(key)(config), getattr(config, known)
        if _has(given, key) and value not in values:
            yield f"{key} = {value}: must be one of {known} = {values}"
    for key in ("ensemble_sizes", "finetuning_curve.ensemble_sizes"):
        largest = max(attrgetter(key)(config), default=0)
        if largest > config.data.members:
            yield f"data.members = {config.data.members}: must be at least the largest of {key}, {largest}"
    final, rounds = config.published, config.published.rounds
    trials = [*(entry.trials for entry in rounds), final.trials]
    for key, values in (("trials", trials), ("cycles", [entry.cycles for entry in rounds])):
        if values != sorted(values):
            yield f"published: {key} are {values} from round to round, but must not decrease"
    cycles, gap = config.robustness.cycles, config.robustness.gap
    if cycles <= 2 * gap:
        yield f"robustness.cycles = {cycles}: must be more than twice robustness.gap = {gap}, so that cycles follow it"
    cycles, timed = config.scaling.cycles, config.scaling.timed_cycles
    if timed >= cycles:
        yield f"scaling.timed_cycles = {timed}: must be less than scaling.cycles = {cycles}"
    cells = [f"{experiment}_{level}" for experiment in config.experiments for level in config.noise_levels]
    yield from (unknown_name("cell in own_weights", cell, cells) for cell in config.own_weights if cell not in cells)
    yield from _faults_of_assimilations(config)
    model = config.model
    if model.width % model.heads:
        yield f"model.heads = {model.heads}: must divide model.width = {model.width}"
    if model.input == "separate" and model.feature_size % 2:
        yield f"model.feature_size = {model.feature_size}: must be even where model.input is separate"


def _faults_of_assimilations(config: Config) -> Iterator[str]:
    """Name contradictions in the key `assimilations`."""
    for name, part in config.assimilations.items():
        if not re.fullmatch(r"\w+", name):
            yield f"assimilations.{name}: a name must have letters, digits and underscores alone"
        if part.experiment not in config.experiments:
            yield f"assimilations.{name}.experiment = {part.experiment}: must be one of {config.experiments}"
        if (part.weights is None) == (part.filter is None):
            yield f"assimilations.{name}: must have either weights or filter"
        if part.filter is not None and part.sigma_y is None:
            yield f"assimilations.{name}: filter = {part.filter} needs sigma_y, the deviation of the observation noise"
        if part.filter is not None and not METHODS[part.filter].inflates:
            yield f"assimilations.{name}: {part.filter} has no ensemble of equal weights, which innovations are of"
        if (part.filter in LOCALIZED_METHODS) != (part.localization_radius is not None):
            verb = "needs a" if part.filter in LOCALIZED_METHODS else "has no"
            yield f"assimilations.{name}: {part.filter or 'a learned filter'} {verb} localization_radius"


def faults_of_file(name: str) -> Iterator[str]:
    """Name the keys in the file of an experiment that belong into config.yaml."""
    try:
        own, _ = overlay(name), describe(name)
    except ValueError as error:
        yield str(error)
        return
    file = known_experiments()[name].name
    scales = own.get("scales") or {}
    if not isinstance(scales, Mapping) or not all(isinstance(part or {}, Mapping) for part in scales.values()):
        yield f"{file}: scales = {scales!r}: must be a mapping from scales to the keys to lay over the others"
        return
    parts = (own, *scales.values())
    for key in (key for part in parts for key in (*RUN_WIDE, *RUN_WIDE_PARTS) if _has(part, key)):
        yield f"{file}: key {key} is the same for all experiments of a run: it belongs into config.yaml"


def _has(content: object, key: str) -> bool:
    """Say whether a mapping has a key, such as `finetuning.keep`."""
    first, _, rest = key.partition(".")
    return isinstance(content, Mapping) and first in content and (not rest or _has(content[first], rest))


def faults_of_experiment(config: Config, description: Mapping[str, Any]) -> Iterator[str]:
    """Name contradictions in the merged config of one experiment."""
    name = description["name"]
    learned = [each for each in config.learned if serves_grid(each, description["grid"])]
    own = any(cell.rpartition("_")[0] == name for cell in config.own_weights)
    if not (config.baselines or learned or config.filters or own):
        yield f"{name}: none of baselines, learned and filters runs on it: give one, or leave it out of experiments"
    localizing = [method for method in config.baselines if method in LOCALIZED_METHODS]
    every = description["observation"].get("every")
    strides = [every] if isinstance(every, int) else every or []
    yield from _faults_of_grid(config, description, localizing, strides)
    if description.get("truth") and config.trajectories:
        yield f"{name}: truth says how truths are simulated, but trajectories has truths of yours: leave one out"
    for size in config.scaling.sizes if name == config.scaling.experiment else []:
        if any(size % stride for stride in strides):
            yield f"scaling.sizes has {size}: must be a multiple of {name}'s observation.every = {every}"
    for key, kernel in (
        ("mnmef_conv", config.mnmef_conv.model.kernel),
        ("mnmef_local", config.mnmef_local.model.kernel),
    ):
        if kernel % 2 == 0:
            yield f"{name}: {key}.model.kernel = {kernel}: must be odd"
    window = config.data.train.window_cycles
    for key in ("mnmef_local", "mnmef_members"):
        cycles = getattr(config, key).training.gradient_cycles
        if key in learned and window % cycles:
            right = f"must divide data.train.window_cycles = {window}"
            yield f"{name}: {key}.training.gradient_cycles = {cycles}: {right}"
    asks_dapper = config.baselines and config.search.engine != "batched"
    asking, remedy = f"{name}: search.engine = {config.search.engine} asks DAPPER", "{engine: batched} in its file"
    if asks_dapper and split_reference(description["system"].get("name")):
        yield f"{asking}, which has no model of {description['system']['name']}: set search: {remedy}"
    gaps = [key for key in ("missing", "available") if description["observation"].get(key)]
    if asks_dapper and gaps:
        yield f"{asking}, which runs without gaps, but observation has {gaps[0]}: set search: {remedy}"
    if description.get("process_noise") or model_speaks_of(name, "is_stochastic"):
        for method in (each for each in config.baselines if METHODS[each].is_iterative):
            yield f"{name}: baselines has {method}, which runs the model again, so that its steps must not be random"
    if asks_dapper and "per_cycle" in description.get("process_noise", {}):
        yield f"{asking}, which adds process noise at every step, not per_cycle: set search: {remedy}"
    searched = {f"search.inflation.{method}": list(sizes) for method, sizes in config.search.inflation.items()}
    if config.search.localization_radius:
        searched["search.localization_radius"] = list(config.search.localization_radius)
    elif localizing:
        yield f"{name}: search.localization_radius is empty, but {localizing[0]} needs radii to try"
    for key, known in searched.items() if config.baselines else []:
        for members in (size for size in config.ensemble_sizes if size not in known):
            sizes = ", ".join(map(str, known))
            yield f"{name}: ensemble_sizes has {members}, but {key} says where to search for {sizes} only"
    for key, other in _limits(config, name):
        value, limit = attrgetter(key)(config), attrgetter(other)(config)
        if value > limit:
            yield f"{name}: {key} = {value}: must be at most {other} = {limit}"


def _faults_of_grid(
    config: Config, description: Mapping[str, Any], localizing: list[str], strides: list[int]
) -> Iterator[str]:
    """Name filters that do not run on the grid of an experiment, though its file names them or they localize."""
    name, grid = description["name"], description["grid"]
    for each in config.learned:
        if each in overlay(name).get("learned", ()) and not serves_grid(each, grid):
            yield f"{name}: learned has {each}, which is for another grid than {grid or 'null'}"
    for key, gap in (("mnmef_conv", "patch"), ("mnmef_local", "every")):
        value = getattr(getattr(config, key).model, gap)
        if serves_grid(key, grid) and any(stride % value for stride in strides):
            right = f"must divide the distance between observed grid points, {description['observation']['every']}"
            yield f"{name}: {key}.model.{gap} = {value}: {right}"
    if grid is None and not model_speaks_of(name, "coordinates|distance"):
        for method in localizing:
            yield f"{name}: baselines has {method}, which localizes, but {description['title']} has no spatial grid"


def _limits(config: Config, name: str) -> Iterator[tuple[str, str]]:
    """Pairs of keys, the first of which must be at most the second."""
    sections = ("search", "search.screen", "search.confirm", "reference")
    yield from ((f"{section}.{n}", f"data.tune.{n}") for n in ("trajectories", "cycles") for section in sections)
    tested = ["evaluation.traced.trajectories", "evaluation.climatology.cycles"]
    if config.localization_study.experiment == name:
        tested += ["localization_study.trajectories", "localization_study.cycles"]
    if config.finetuning_curve.experiment == name:
        tested.append("finetuning_curve.cycles")
    yield from ((key, f"data.test.{key.rpartition('.')[2]}") for key in tested)
    if config.training.schedule == "window":
        yield "training.batch", "data.train.windows"
