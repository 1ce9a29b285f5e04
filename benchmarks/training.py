"""Seconds that training takes for one assimilation cycle of one window, on all cores of this machine or on its GPU.

`python -m benchmarks.training` writes training.csv and training.json: for each experiment the published schedule, one
optimizer step per window, at its published batch, and one step per cycle at a batch of 64. All other settings are those
of config.yaml at its published scale.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import median

import pandas as pd
import torch
import yaml
from tqdm import tqdm

from benchmarks.timing import base_parser, check_names, positive, provenance, write_report
from mnmef.config.loading import load_config
from mnmef.config.schema import Config
from mnmef.core.clock import elapsed
from mnmef.core.devices import default_device
from mnmef.data.twin import simulate_training
from mnmef.experiments.files import shipped_experiments
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.fitting import pretraining_options
from mnmef.learning.trainer import Trainer

CONFIG = Path(__file__).parents[1] / "config.yaml"
SIGMA_Y = 1.0
CYCLE_BATCH = 64
"""Windows at a time where each cycle is an optimizer step, as on a laptop."""
SPARE_CYCLES = 5
"""Cycles by which truths are longer than windows, so that windows start at different times."""
REFERENCE = {("lorenz96", "window"): 9.5 / (512 * 60)}
"""Seconds per window-cycle of the code released with the paper: 8 to 11 s, in the mean 9.5 s, per batch of 512 windows
of 60 cycles at N = 10 on 2 CPU cores.
"""

DEFINITIONS = {
    "window_cycles": "cycles of a window; a step of schedule window runs all of them and one of schedule cycle a "
    "single one. Published windows have 60; a timing may have fewer, as the cost of a cycle does not depend on it",
    "seconds_per_step": "wall seconds of an optimizer step, median over the repeats",
    "seconds_per_window_cycle": "seconds_per_step / (batch x cycles of a step)",
    "reference_seconds_per_window_cycle": "the code released with the paper: 9.5 s per batch of 512 windows of 60 "
    "cycles at N = 10 on 2 CPU cores",
    "ratio": "reference_seconds_per_window_cycle / seconds_per_window_cycle; on a CPU only, and to be read with the "
    "reference's machine in mind",
    "repeats": "timings, each of one step of schedule window or of some steps of schedule cycle",
}


@cache
def published() -> Mapping[str, Config]:
    """The config of each experiment at its published scale."""
    return load_config(yaml.safe_load(CONFIG.read_text(encoding="utf-8")), {"scale": "paper"}).experiments


def make_trainer(experiment: str, schedule: str, batch: int, window_cycles: int, device: torch.device) -> Trainer:
    """A training about to begin, on truths simulated for it: as many as the batch."""
    config = published()[experiment]
    training = config.training.model_dump() | {"schedule": schedule, "batch": batch}
    options = pretraining_options(training, batch, window_cycles, config.seed)
    truth = simulate_training(load_experiment(experiment), batch, window_cycles + SPARE_CYCLES, config.seed)[
        "truth"
    ].values
    model = config.model.model_dump()
    filter_ = initial_filter(load_experiment(experiment), SIGMA_Y, model, config.seed).to(device)
    return Trainer(filter_, torch.from_numpy(truth), options)


def seconds_per_step(trainer: Trainer, steps: int) -> float:
    """Wall seconds of each of `steps` optimizer steps in the mean."""

    def run() -> None:
        for _ in range(steps):
            trainer.optimizer_step()

    return elapsed(run, trainer.device)[0] / steps


def time_training(experiments: Sequence[str], repeats: int, cycles: int, steps: int) -> pd.DataFrame:
    """A row for each experiment and schedule; columns: see `DEFINITIONS`.

    cycles: of a window in the schedule `window`, hence of one timing. steps: of one timing in the schedule `cycle`.
    Raises `ValueError` for a experiment that is unknown, with the nearest name.
    """
    check_names("experiment", experiments, list(shipped_experiments("paper")))
    return pd.DataFrame(_rows(experiments, repeats, cycles, steps))


def _rows(
    experiments: Sequence[str], repeats: int, cycles: int, steps: int
) -> Iterator[Mapping[str, str | float | None]]:
    device = default_device()
    for experiment in tqdm(experiments, desc="training", unit="experiment"):
        config = published()[experiment]
        whole = config.data.train.window_cycles
        # Schedule, batch, cycles of a window, cycles of a step, steps of a timing.
        for schedule, batch, window, per_step, count in (
            ("window", config.training.batch, cycles, cycles, 1),
            ("cycle", CYCLE_BATCH, whole, 1, steps),
        ):
            trainer = make_trainer(experiment, schedule, batch, window, device)
            seconds_per_step(trainer, count)  # to warm up
            step = median(seconds_per_step(trainer, count) for _ in range(repeats))
            mine = step / (batch * per_step)
            reference = REFERENCE.get((experiment, schedule))
            yield {
                "experiment": experiment,
                "schedule": schedule,
                "batch": batch,
                "window_cycles": window,
                "device": str(device),
                "seconds_per_step": step,
                "seconds_per_window_cycle": mine,
                "reference_seconds_per_window_cycle": reference,
                "ratio": reference / mine if reference is not None and device.type == "cpu" else None,
                "repeats": repeats,
            }


def main(arguments: Sequence[str] | None = None) -> None:
    """Time what the command line asks for, write the table and print it."""
    parser = base_parser((__doc__ or "").partition("\n")[0], list(shipped_experiments("paper")))
    parser.add_argument("--cycles", type=positive, default=10, help="cycles of a window in the schedule `window`")
    parser.add_argument("--steps", type=positive, default=20, help="steps of a timing in the schedule `cycle`")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.cores)
    try:
        table = time_training(options.experiments, options.repeats, options.cycles, options.steps)
    except ValueError as error:
        parser.error(str(error))
    write_report(table, provenance(options, DEFINITIONS), options.out, "training")


if __name__ == "__main__":
    main()
